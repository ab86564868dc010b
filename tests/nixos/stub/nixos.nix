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
  # A list of names is a set of those that are wanted, so that another module can take one out.
  names = types.coercedTo (types.listOf types.str) (list: lib.genAttrs list (_: true)) (types.attrsOf types.bool);
  wanted = lib.filterAttrs (_: on: on);
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];

    boot.initrd = {
      availableKernelModules = option names { } // {
        apply = set: lib.attrNames (wanted set);
      };
      luks.cryptoModules = option (types.listOf types.str) [
        "aes"
        "xts"
        "algif_skcipher"
      ];
      services.lvm.enable = switch;
      services.udev.packages = packages;
      supportedFilesystems = option names { };
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

    # What is switched off is not there for anybody. Nobody has a type by default, and an overlay has its own.
    fileSystems = lib.mkOption {
      default = { };
      apply = lib.filterAttrs (_: fs: fs.enable);
      type = types.attrsOf (
        types.submodule (
          { config, ... }:
          {
            options = {
              device = option (types.nullOr types.str) null;
              enable = option types.bool true;
              mountPoint = option (types.nullOr types.str) null;
              fsType = lib.mkOption { type = types.str; };
              neededForBoot = switch;
              overlay = {
                lowerdir = option (types.nullOr (types.listOf types.str)) null;
                upperdir = option (types.nullOr types.str) null;
                workdir = option (types.nullOr types.str) null;
              };
            };
            config.fsType = lib.mkIf (config.overlay.lowerdir != null) "overlay";
          }
        )
      );
    };

    services.lvm.enable = switch;
    services.udev.packages = packages;
    systemd.packages = packages;
    systemd.services = option (types.attrsOf types.unspecified) { };
  };
}
