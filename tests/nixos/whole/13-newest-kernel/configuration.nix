{ pkgs, ... }:
{
  boot.kernelPackages = pkgs.linuxPackages_latest;
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.integrity = "hmac-sha256";
}
