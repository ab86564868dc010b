{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  fileSystems.scratch = {
    mountPoint = "/scratch";
    fsType = "tmpfs";
  };
}
