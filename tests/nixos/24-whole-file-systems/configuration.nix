# The way out that 65 names, in an image that defines fileSystems as a whole.
{ lib, ... }:
{
  ccvm.scratch.enable = true;
  ccvm.scratch.nix.enable = true;
  fileSystems = lib.mkImageMediaOverride {
    "/".fsType = "tmpfs";
    "/nix/.ro-store" = {
      device = "/iso/nix-store.squashfs";
      fsType = "squashfs";
      neededForBoot = true;
    };
    "/nix/.rw-store" = lib.mkForce { enable = false; };
    "/nix/store".overlay = {
      lowerdir = [ "/nix/.ro-store" ];
      upperdir = "/nix/.rw-store/store";
      workdir = "/nix/.rw-store/work";
    };
  };
}
