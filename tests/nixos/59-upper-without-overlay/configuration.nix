{
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
  ccvm.scratch.nixStore = "upper";
}
