# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a configuration becomes: all that the module sets in NixOS; an error if an assertion of its does not hold.

{
  lib,
  configuration,
  # More modules, beside the one that is always there.
  modules ? [ ],
}:

let
  inherit
    (lib.evalModules {
      modules = [
        ./stub/nixos.nix
        ../../nixos/module.nix
        configuration
      ]
      ++ modules;
      specialArgs.pkgs = import ./stub/pkgs.nix { inherit lib; };
    })
    config
    ;
  failed = builtins.filter (a: !a.assertion) config.assertions;
in
if failed != [ ] then
  throw (builtins.concatStringsSep "\n" (map (a: a.message) failed))
else
  {
    inherit (config)
      boot
      environment
      fileSystems
      services
      systemd
      ;
  }
