{
  ccvm.enable = true;
  ccvm.nix.enable = true;
}
