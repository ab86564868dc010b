{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  boot.initrd.systemd.enable = false;
}
