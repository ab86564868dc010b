# Adds nothing at all.
{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 0;
}
