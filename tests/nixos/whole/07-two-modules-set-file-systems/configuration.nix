# The overlay from one, the lower layer from another.
{
  imports = [
    { fileSystems."/nix/store".overlay.upperdir = "/nix/.rw-store/upper"; }
    {
      fileSystems."/nix/store".neededForBoot = true;
      fileSystems."/data" = {
        device = "/dev/vdb";
        fsType = "ext4";
      };
    }
  ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
  fileSystems."/nix/.ro-store" = {
    device = "/dev/vda";
    fsType = "squashfs";
    neededForBoot = true;
  };
}
