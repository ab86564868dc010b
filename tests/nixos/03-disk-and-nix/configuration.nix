{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;

  fileSystems."/nix/.ro-store" = {
    device = "/dev/vda";
    fsType = "erofs";
    neededForBoot = true;
  };
}
