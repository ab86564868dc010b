{
  ccvm.scratch.enable = true;
  ccvm.scratch.nix.enable = true;
  fileSystems."/nix/.ro-store" = {
    fsType = "erofs";
    neededForBoot = true;
  };
  fileSystems."/nix/.rw-store".fsType = "tmpfs";
}
