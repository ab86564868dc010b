# A kernel without one of the modules.
{ lib, ... }:
{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  boot.initrd.availableKernelModules.nvme = lib.mkForce false;
}
