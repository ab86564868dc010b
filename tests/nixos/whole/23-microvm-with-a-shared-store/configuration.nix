{
  imports = [ "${builtins.getEnv "CCVM_MICROVM"}/nixos-modules/microvm" ];
  microvm.writableStoreOverlay = "/nix/.rw-store";
  microvm.shares = [
    {
      proto = "9p";
      tag = "ro-store";
      source = "/nix/store";
      mountPoint = "/nix/.ro-store";
    }
  ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nix.enable = true;
}
