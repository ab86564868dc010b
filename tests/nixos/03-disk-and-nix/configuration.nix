{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
  ccvm.nix.enable = true;

  fileSystems."/nix/.ro-store" = {
    device = "/dev/vda";
    fsType = "erofs";
    neededForBoot = true;
  };
}
