{
  ccvm.scratch.enable = true;
  ccvm.scratch.nixStore = "upper";
  ccvm.scratch.vmDisk = true;
}
