{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
  ccvm.scratch.serial = "longer-than-20-characters";
}
