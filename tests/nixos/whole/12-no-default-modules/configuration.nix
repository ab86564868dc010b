# An initrd that holds what it was told to hold.
{
  boot.initrd.includeDefaultModules = false;
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
