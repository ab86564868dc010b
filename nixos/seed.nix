# SPDX-License-Identifier: LGPL-2.1-or-later
#
# ccvm.vmDiskSize and ccvm.nix.enable for guests that do not declare them: import it beside module.nix. It sets what is
# below ccvm.scratch, and nothing else.

{ config, lib, ... }:

let
  cfg = config.ccvm;
in
{
  options.ccvm = {
    vmDiskSize = lib.mkOption {
      type = lib.types.ints.unsigned;
      default = 0;
      description = "GiB of disk that the host gives to this VM, for /scratch and what else is on the pool; 0: none.";
    };
    nix.enable = lib.mkEnableOption "a writable /nix/store, with its upper layer on the disk or in RAM";
  };

  config.ccvm.scratch = {
    enable = lib.mkDefault (cfg.vmDiskSize > 0 || cfg.nix.enable);
    vmDiskSize = lib.mkDefault cfg.vmDiskSize;
    nix.enable = lib.mkDefault cfg.nix.enable;
  };
}
