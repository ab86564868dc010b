{
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
}
