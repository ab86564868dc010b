{ lib, ... }:
{
  imports = [
    "${builtins.getEnv "CCVM_GENERATORS"}/format-module.nix"
    "${builtins.getEnv "CCVM_GENERATORS"}/formats/iso.nix"
  ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
  fileSystems."/nix/.rw-store" = lib.mkForce { enable = false; };
}
