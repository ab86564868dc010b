# An image that defines fileSystems as a whole, with the way out that 50 names.
{ lib, modulesPath, ... }:
{
  imports = [ "${modulesPath}/installer/cd-dvd/installation-cd-minimal.nix" ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
  fileSystems = lib.mkImageMediaOverride { "/nix/.rw-store" = lib.mkForce { enable = false; }; };
}
