# Adds nothing at all.
{
  ccvm.enable = true;
  ccvm.vmDiskSize = 0;
}
