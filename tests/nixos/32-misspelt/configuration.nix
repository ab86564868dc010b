{
  ccvm.enable = true;
  ccvm.vmDiskSiez = 20;
}
