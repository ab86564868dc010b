# As NixOS has it since 2026: nobody has said what it is.
{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  fileSystems."/data".device = "/dev/vda";
}
