# What an installation CD has; what the user says of one file system is lost there.
{ lib, ... }:
{
  ccvm.scratch.enable = true;
  ccvm.scratch.nix.enable = true;
  fileSystems = lib.mkMerge [
    { "/nix/.rw-store" = lib.mkForce { enable = false; }; }
    (lib.mkImageMediaOverride {
      "/".fsType = "tmpfs";
      "/nix/.ro-store" = {
        device = "/iso/nix-store.squashfs";
        fsType = "squashfs";
        neededForBoot = true;
      };
      "/nix/.rw-store" = {
        fsType = "tmpfs";
        neededForBoot = true;
      };
      "/nix/store".overlay = {
        lowerdir = [ "/nix/.ro-store" ];
        upperdir = "/nix/.rw-store/store";
        workdir = "/nix/.rw-store/work";
      };
    })
  ];
}
