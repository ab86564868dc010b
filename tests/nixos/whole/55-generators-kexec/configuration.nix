# Its commands are for the other stage 1, which NixOS says itself.
{ lib, ... }:
{
  imports = [
    "${builtins.getEnv "CCVM_GENERATORS"}/format-module.nix"
    "${builtins.getEnv "CCVM_GENERATORS"}/formats/kexec.nix"
  ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
  fileSystems."/nix/.rw-store" = lib.mkForce { enable = false; };
}
