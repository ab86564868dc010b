{
  ccvm.scratch = {
    enable = true;
    vmDiskSize = 1;
    vmDisk = true;
    serial = "bulk.0";
    mounts = [
      "/scratch:1777"
      "/var/tmp:1777:0:0:suid+noexec"
      "/srv/x::::dev"
      "/srv"
    ];
    nixStore = "upper";
    fileSystem = "btrfs";
    header = "ram";
    discard = false;
    deviceTimeoutSec = 3600;
    setupTimeoutSec = 60;
    fallback = "none";
    fallbackSize = "2G";
    onClone = "renew";
  };

  fileSystems."/nix/store" = {
    fsType = "overlay";
    overlay = {
      lowerdir = [ "/nix/.ro-store" ];
      upperdir = "/nix/.rw-store/up";
      workdir = "/nix/.rw-store/work";
    };
  };
}
