# Built on another architecture than it runs on.
{
  nixpkgs.buildPlatform = "x86_64-linux";
  nixpkgs.hostPlatform = "aarch64-linux";
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
