{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
  ccvm.scratch.mounts = [ "/scratch /srv" ];
}
