{
  ccvm.scratch.enable = true;
  ccvm.scratch.nix.enable = true;
  fileSystems."/nix/.ro-store".fsType = "squashfs";
}
