{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
}
