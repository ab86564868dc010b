{
  imports = [
    "${builtins.getEnv "CCVM_GENERATORS"}/format-module.nix"
    "${builtins.getEnv "CCVM_GENERATORS"}/formats/qcow.nix"
  ];
  ccvm.scratch.enable = true;
  ccvm.scratch.vmDiskSize = 20;
}
