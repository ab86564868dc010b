# An image without perl, bash's activation or a mutable /etc.
{ modulesPath, ... }:
{
  imports = [ "${modulesPath}/profiles/perlless.nix" ];
  system.switch.enable = false;
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
