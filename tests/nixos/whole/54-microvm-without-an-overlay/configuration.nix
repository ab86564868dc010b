# A read-only store right on /nix/store: two file systems for one place, which NixOS says itself.
{
  imports = [ "${builtins.getEnv "CCVM_MICROVM"}/nixos-modules/microvm" ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
}
