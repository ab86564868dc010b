{
  ccvm = {
    enable = true;
    vmDiskSize = 1;
    scratch = {
      vmDisk = true;
      serial = "bulk.0";
      mounts = [
        "/scratch:1777"
        "/var/tmp:1777:0:0"
        "/srv"
      ];
      nixStore = "upper";
      fileSystem = "btrfs";
      header = "ram";
      discard = false;
      deviceTimeoutSec = 3600;
      fallback = "none";
      fallbackSize = "2G";
    };
  };
}
