# It would not start again after a switch, so that a switch must not stop it.
{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
