# The two names of a guest's own, by seed.nix.
{
  ccvm.vmDiskSize = 20;
  ccvm.nix.enable = true;

  fileSystems."/nix/.ro-store" = {
    device = "/dev/vda";
    fsType = "erofs";
    neededForBoot = true;
  };
}
