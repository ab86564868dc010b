{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.vmDisk = "hotplug";
  ccvm.scratch.nix.enable = true;
  fileSystems."/nix/.ro-store".neededForBoot = true;
}
