{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nixStore = "overlay";

  fileSystems."/nix/.ro-store" = {
    device = "/dev/vda";
    fsType = "squashfs";
    neededForBoot = true;
  };
  fileSystems."/nix/store".fsType = "overlay";
}
