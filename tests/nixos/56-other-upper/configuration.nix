{
  ccvm.scratch.enable = true;
  ccvm.scratch.nix.enable = true;
  fileSystems."/nix/.ro-store" = {
    fsType = "erofs";
    neededForBoot = true;
  };
  fileSystems."/nix/store".overlay.upperdir = "/var/store";
}
