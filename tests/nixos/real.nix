# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The same as evaluate.nix in a whole NixOS, down to the derivation of its toplevel: of a nixpkgs checkout, with an empty
# root, no boot loader and no manual. What it says of it are lines of text.

{
  tree,
  configuration,
  modules ? [ ],
  ours ? [ ../../nixos/module.nix ],
}:

let
  lib = import (tree + "/lib");
  inherit
    (import (tree + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = [
        {
          boot.initrd.systemd.enable = lib.mkDefault true;
          nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
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
      ++ ours
      ++ modules;
    })
    config
    ;
  failed = builtins.filter (a: !a.assertion) config.assertions;
in
if failed != [ ] then
  throw (builtins.concatStringsSep "\n" (map (a: a.message) failed))
else
  # One line for each thing that a case may ask for.
  lib.concatLists [
    (map (name: "module ${name}") config.boot.initrd.availableKernelModules)
    (map (name: "program ${name}") (lib.attrNames config.boot.initrd.systemd.extraBin))
    (map (line: "conf ${line}") (lib.splitString "\n" (config.environment.etc."ccvm-scratch.conf".text or "")))
    (map (line: "service ${line}") (
      lib.splitString "\n" (config.systemd.units."ccvm-scratch-luks.service".text or "")
    ))
    (lib.mapAttrsToList (
      _: fs: "mount ${fs.mountPoint} ${fs.fsType} ${lib.concatStringsSep "," fs.options}"
    ) config.fileSystems)
    [ "toplevel ${config.system.build.toplevel.drvPath}" ]
  ]
