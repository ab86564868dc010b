{
  ccvm.enable = true;
  ccvm.nix.enable = true;
  fileSystems."/nix/.ro-store".neededForBoot = true;
  fileSystems."/nix/store".overlay.upperdir = "/var/store";
}
