# nixos/README.md's, in the real thing.
{
  imports = [ "${builtins.getEnv "CCVM_MICROVM"}/nixos-modules/microvm" ];
  microvm.writableStoreOverlay = "/nix/.rw-store";
  microvm.volumes = [
    {
      image = "scratch.img";
      size = 20480;
      mountPoint = null;
      serial = "ccvm-scratch";
    }
  ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.vmDisk = true;
  ccvm.scratch.nixStore = "upper";
}
