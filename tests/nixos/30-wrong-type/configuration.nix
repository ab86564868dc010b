{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = "20G";
}
