{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
  fileSystems."/scratch".fsType = "tmpfs";
}
