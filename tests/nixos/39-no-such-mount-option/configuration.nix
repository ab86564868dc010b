{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.mounts = [ "/scratch:1777:0:0:exec" ];
}
