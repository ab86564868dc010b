{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.integrity = "hmac-sha256";
  ccvm.scratch.fileSystem = "ext4";
  ccvm.scratch.header = "ram";
}
