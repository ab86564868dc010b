{
  ccvm.scratch.enable = true;
  ccvm.scratch.nix.enable = true;
}
