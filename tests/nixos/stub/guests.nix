# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the guests of nixos/README.md bring along: options of their own, and stores as they have them.

{ config, lib, ... }:

let
  inherit (lib) types;
  option = type: default: lib.mkOption { inherit type default; };
  upper = config.microvm.writableStoreOverlay;
in
{
  options = {
    ccvm.vmDiskSize = option types.ints.unsigned 20;
    ccvm.nix.enable = option types.bool true;
    microvm.writableStoreOverlay = option (types.nullOr types.str) null;
    microvm.volumes = option (types.listOf types.unspecified) [ ];
    virtualisation.emptyDiskImages = option (types.listOf types.unspecified) [ ];
    virtualisation.writableStoreUseTmpfs = option types.bool true;
  };

  config.fileSystems = {
    "/nix/.ro-store" = {
      device = "/dev/vda";
      fsType = "squashfs";
      neededForBoot = true;
    };
  }
  // (
    if upper == null then
      { }
    else
      {
        "/nix/store".overlay = {
          lowerdir = [ "/nix/.ro-store" ];
          upperdir = "${upper}/upper";
          workdir = "${upper}/work";
        };
      }
  );
}
