# It has no initrd, and the generator does nothing in it.
{
  boot.isContainer = true;
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
