# All options with their texts in the system's own manual.
{
  documentation.enable = true;
  documentation.nixos.includeAllModules = true;
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
