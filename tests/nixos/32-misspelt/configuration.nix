{
  ccvm.scratch.enable = true;
  ccvm.vmDiskSiez = 20;
}
