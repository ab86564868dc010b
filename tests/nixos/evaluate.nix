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
  # NixOS gives an overlay its type, and nothing else.
  untyped = builtins.filter (
    name:
    let
      fs = config.fileSystems.${name};
    in
    fs.enable && fs.fsType == null && fs.overlay.upperdir == null
  ) (builtins.attrNames config.fileSystems);
  failed = builtins.filter (a: !a.assertion) config.assertions;
in
if failed != [ ] then
  throw (builtins.concatStringsSep "\n" (map (a: a.message) failed))
else if untyped != [ ] then
  throw "The option `fileSystems.\"${builtins.head untyped}\".fsType' was accessed but has no value defined."
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
