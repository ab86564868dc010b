{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
  ccvm.nix.enable = true;
  ccvm.scratch.nixStore = "no";
}
