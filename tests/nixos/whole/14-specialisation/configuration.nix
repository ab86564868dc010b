# One image, booted with or without.
{
  specialisation.scratch.configuration = {
    ccvm.scratch.enable = true;
    ccvm.scratch.vmDiskSize = 20;
  };
}
