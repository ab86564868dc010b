# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The options of NixOS that nixos/module.nix reads or sets.

{ lib, ... }:

let
  inherit (lib) types;

  option = type: default: lib.mkOption { inherit type default; };
  strings = option (types.listOf types.str) [ ];
  files = option (types.attrsOf (types.attrsOf types.str)) { };
  packages = option (types.listOf types.package) [ ];
  switch = option types.bool false;
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];

    boot.initrd = {
      availableKernelModules = strings;
      luks.cryptoModules = option (types.listOf types.str) [
        "aes"
        "xts"
        "algif_skcipher"
      ];
      services.lvm.enable = switch;
      services.udev.packages = packages;
      supportedFilesystems = strings;
      systemd = {
        enable = option types.bool true;
        contents = files;
        extraBin = option (types.attrsOf types.str) { };
        inherit packages;
        services = option (types.attrsOf types.unspecified) { };
        storePaths = strings;
      };
    };

    environment = {
      etc = files;
      systemPackages = packages;
    };

    fileSystems = option (types.attrsOf (types.submodule {
      options = {
        device = option (types.nullOr types.str) null;
        enable = option types.bool true;
        mountPoint = option (types.nullOr types.str) null;
        fsType = option (types.nullOr types.str) null; # which evaluate.nix refuses, as NixOS does
        neededForBoot = switch;
        overlay = {
          lowerdir = option (types.nullOr (types.listOf types.str)) null;
          upperdir = option (types.nullOr types.str) null;
          workdir = option (types.nullOr types.str) null;
        };
      };
    })) { };

    services.lvm.enable = switch;
    services.udev.packages = packages;
    systemd.packages = packages;
    systemd.services = option (types.attrsOf types.unspecified) { };
  };
}
