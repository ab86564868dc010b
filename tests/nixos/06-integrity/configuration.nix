# The default of the header follows.
{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.integrity = "hmac-sha256";
}
