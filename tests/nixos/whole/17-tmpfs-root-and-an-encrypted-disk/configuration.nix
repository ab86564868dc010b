# luksroot beside it: its ciphers and ours, LVM switched on twice.
{
  boot.initrd.luks.devices.data.device = "/dev/disk/by-partlabel/data";
  boot.initrd.services.lvm.enable = true;
  services.lvm.enable = true;
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
