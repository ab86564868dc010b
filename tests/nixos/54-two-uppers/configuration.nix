{
  ccvm.enable = true;
  ccvm.nix.enable = true;
  fileSystems."/nix/.ro-store".neededForBoot = true;
  fileSystems."/nix/.rw-store".fsType = "tmpfs";
}
