# An image that has its overlay already keeps it.
{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;

  fileSystems."/nix/.ro-store" = {
    device = "/dev/vda";
    fsType = "erofs";
    neededForBoot = true;
  };
  fileSystems."/nix/store".overlay = {
    lowerdir = [ "/nix/.ro-store" ];
    upperdir = "/nix/.rw-store/upper";
    workdir = "/nix/.rw-store/work";
  };
}
