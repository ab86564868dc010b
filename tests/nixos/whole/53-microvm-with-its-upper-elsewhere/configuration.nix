{
  imports = [ "${builtins.getEnv "CCVM_MICROVM"}/nixos-modules/microvm" ];
  microvm.writableStoreOverlay = "/nix/.rwstore";
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
}
