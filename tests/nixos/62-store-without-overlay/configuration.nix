# A read-only store right on /nix/store.
{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nixStore = "upper";
  fileSystems."/nix/store".fsType = "squashfs";
}
