{
  nixpkgs.hostPlatform = "aarch64-linux";
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
