{
  ccvm.enable = true;
  ccvm.vmDiskSize = -1;
}
