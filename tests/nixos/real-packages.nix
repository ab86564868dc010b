# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The derivations of what nixos/ builds, of a nixpkgs checkout: by its own stdenv, and for another architecture. The test
# is a whole one, down to the driver that starts its machines.

{ tree }:

let
  pkgs = import tree {
    system = "x86_64-linux";
    config = { };
    overlays = [ ];
  };
  cross = pkgs.pkgsCross.aarch64-multiplatform;
in
builtins.mapAttrs (_: package: package.drvPath) {
  guest = pkgs.callPackage ../../nixos/package.nix { };
  host = pkgs.callPackage ../../nixos/package.nix { forHost = true; };
  guest-for-aarch64 = cross.callPackage ../../nixos/package.nix { };
  host-for-aarch64 = cross.callPackage ../../nixos/package.nix { forHost = true; };
  test = (import ../../nixos/tests/scratch.nix { inherit pkgs; }).driver;
}
