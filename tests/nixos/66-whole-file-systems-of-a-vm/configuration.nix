# The same in a VM for tests, whose override is a stronger one.
{ lib, ... }:
{
  ccvm.scratch.enable = true;
  ccvm.scratch.nix.enable = true;
  fileSystems = lib.mkMerge [
    { "/nix/.rw-store" = lib.mkForce { enable = false; }; }
    (lib.mkVMOverride {
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
