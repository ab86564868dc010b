{ lib, modulesPath, ... }:
{
  imports = [ "${modulesPath}/installer/netboot/netboot.nix" ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
  fileSystems."/nix/.rw-store" = lib.mkForce { enable = false; };
}
