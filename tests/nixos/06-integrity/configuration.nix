# The default of the file system follows.
{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
  ccvm.scratch.integrity = "hmac-sha256";
}
