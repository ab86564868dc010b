# The store in RAM: no disk, nothing to format it with.
{
  ccvm.scratch.enable = true;
  ccvm.scratch.nix.enable = true;

  fileSystems."/nix/.ro-store" = {
    device = "/dev/vda";
    fsType = "erofs";
    neededForBoot = true;
  };
}
