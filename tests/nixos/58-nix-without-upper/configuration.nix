{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
  ccvm.scratch.nixStore = "no";
}
