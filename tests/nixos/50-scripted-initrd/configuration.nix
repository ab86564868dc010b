{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
  boot.initrd.systemd.enable = false;
}
