# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the flake gives, and what nixpkgs' meson hook would run for each of its packages.

{ lib }:

let
  flake = import ../../nixos/flake.nix;
  outputs = flake.outputs {
    self = outputs;
    nixpkgs = {
      inherit lib;
      legacyPackages = lib.genAttrs [ "aarch64-linux" "x86_64-linux" ] (
        _: import ./stub/pkgs.nix { inherit lib; }
      );
    };
  };
in
{
  outputs = lib.mapAttrs (_: builtins.attrNames) {
    inherit (outputs)
      checks
      nixosModules
      overlays
      packages
      ;
    inherit (outputs.packages) aarch64-linux x86_64-linux;
    overlay = outputs.overlays.default (import ./stub/pkgs.nix { inherit lib; }) { };
  };
  module = builtins.isFunction (import outputs.nixosModules.default);
  packages = lib.mapAttrs (_: package: {
    inherit (package)
      mesonFlags
      mesonInstallTags
      outputs
      version
      ;
  }) outputs.packages.x86_64-linux;
  placeholders = lib.genAttrs [ "out" "initrd" ] placeholder;
}
