{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
  ccvm.scratch.deviceTimeoutSec = 0;
}
