# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The same as evaluate.nix in a whole NixOS, down to the derivation of its toplevel: of a nixpkgs checkout, with an empty
# root, no boot loader and no manual.

{
  tree,
  configuration,
  modules ? [ ],
}:

let
  lib = import (tree + "/lib");
  inherit
    (import (tree + "/nixos/lib/eval-config.nix") {
      system = "x86_64-linux";
      modules = [
        ../../nixos/module.nix
        {
          boot.initrd.systemd.enable = lib.mkDefault true;
          boot.loader.grub.enable = lib.mkDefault false;
          documentation.enable = lib.mkDefault false;
          system.stateVersion = lib.mkDefault lib.trivial.release;
          fileSystems."/" = lib.mkOverride 1400 {
            device = "none";
            fsType = "tmpfs";
          };
        }
        configuration
      ]
      ++ modules;
    })
    config
    ;
  failed = builtins.filter (a: !a.assertion) config.assertions;
in
if failed != [ ] then
  throw (builtins.concatStringsSep "\n" (map (a: a.message) failed))
else
  {
    modules = config.boot.initrd.availableKernelModules;
    toplevel = config.system.build.toplevel.drvPath;
  }
