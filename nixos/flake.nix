# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The module and the packages for those who use flakes: ?dir=nixos behind the address of the project. Evaluated when an
# image is built; nothing of it is there in a boot.
{
  description = "Encrypted, throw-away disk space for virtual machines";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { nixpkgs, ... }:
    let
      packages = pkgs: rec {
        ccvm-scratch = pkgs.callPackage ./package.nix { };
        ccvm-scratch-run = ccvm-scratch.override { forHost = true; };
      };
      systems = [
        "aarch64-linux"
        "x86_64-linux"
      ];
    in
    {
      nixosModules.default = ./module.nix;
      nixosModules.seed = ./seed.nix;

      checks = nixpkgs.lib.genAttrs systems (system: {
        scratch = import ./tests/scratch.nix { pkgs = nixpkgs.legacyPackages.${system}; };
      });

      overlays.default = final: _: packages final;

      packages = nixpkgs.lib.genAttrs systems (
        system:
        let
          all = packages nixpkgs.legacyPackages.${system};
        in
        all // { default = all.ccvm-scratch; }
      );
    };
}
