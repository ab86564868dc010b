# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Packages of which only the path in the store counts.

{ lib }:

let
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/${name}";
  };

  names = [
    "btrfs-progs"
    "cryptsetup"
    "e2fsprogs"
    "json_c"
    "util-linux"
    "lvm2"
    "meson"
    "ninja"
    "pkg-config"
    "scdoc"
    "systemd"
    "versionCheckHook"
    "xfsprogs"
  ];

  pkgs = lib.genAttrs names package // {
    inherit lib pkgs;

    # As packages of nixpkgs have it: programs in an output of their own.
    e2fsprogs = package "e2fsprogs" // {
      bin = package "e2fsprogs-bin";
    };

    stdenv = {
      hostPlatform.isx86_64 = true;
      mkDerivation =
        function:
        let
          attributes = function attributes;
        in
        attributes
        // package attributes.pname
        // lib.genAttrs attributes.outputs (output: package "${attributes.pname}-${output}");
    };

    callPackage =
      file: arguments:
      let
        function = import file;
        found = builtins.intersectAttrs (builtins.functionArgs function) pkgs;
      in
      function (found // arguments)
      // {
        override = others: pkgs.callPackage file (arguments // others);
      };
  };
in
pkgs
