{ modulesPath, ... }:
{
  imports = [ "${modulesPath}/profiles/hardened.nix" ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
