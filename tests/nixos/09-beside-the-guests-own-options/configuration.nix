# A guest that declares both names itself.
{ config, lib, ... }:
{
  options.ccvm = {
    vmDiskSize = lib.mkOption { type = lib.types.ints.unsigned; };
    nix.enable = lib.mkEnableOption "a writable store";
  };

  config.ccvm = {
    vmDiskSize = 20;
    scratch.enable = true;
    scratch.vmDiskSize = config.ccvm.vmDiskSize;
  };
}
