{
  ccvm.vmDiskSize = 20;
  ccvm.nix.enable = true;
}
