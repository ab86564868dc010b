# An image that has its overlay already keeps it.
{
  ccvm.enable = true;
  ccvm.vmDiskSize = 20;
  ccvm.nix.enable = true;

  fileSystems."/nix/.ro-store".neededForBoot = true;
  fileSystems."/nix/store".overlay = {
    lowerdir = [ "/nix/.ro-store" ];
    upperdir = "/nix/.rw-store/upper";
    workdir = "/nix/.rw-store/work";
  };
}
