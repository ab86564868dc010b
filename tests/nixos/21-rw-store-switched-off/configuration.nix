{
  ccvm.scratch.enable = true;
  ccvm.scratch.nix.enable = true;
  fileSystems."/nix/.ro-store" = {
    device = "/dev/vda";
    fsType = "squashfs";
    neededForBoot = true;
  };
  fileSystems."/nix/.rw-store" = {
    fsType = "tmpfs";
    enable = false;
  };
}
