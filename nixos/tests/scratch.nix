# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A nixosTest: one machine has the disk, another one lacks it, and a third finds its marker in a credential. Run by
# "nix flake check"; pkgs is nixpkgs'.

{ pkgs }:

let
  guest = {
    imports = [ ../module.nix ];
    boot.initrd.systemd.enable = true;
    ccvm.scratch = {
      enable = true;
      vmDiskSize = 1;
    };
  };
  disk = {
    size = 1024;
    driveConfig.deviceExtraOpts.serial = "ccvm-scratch";
  };
in
pkgs.testers.runNixOSTest {
  name = "ccvm-scratch";

  nodes = {
    machine = {
      imports = [ guest ];
      ccvm.scratch.vmDisk = true;
      virtualisation.emptyDiskImages = [ disk ];
    };
    without = {
      imports = [ guest ];
      ccvm.scratch.vmDisk = true;
      ccvm.scratch.deviceTimeoutSec = 5;
    };
    marked = {
      imports = [ guest ];
      virtualisation.emptyDiskImages = [ disk ];
      virtualisation.qemu.options = [ "-smbios type=11,value=io.systemd.credential:ccvm.vm-disk=1" ];
    };
  };

  testScript = ''
    start_all()

    for with_disk in machine, marked:
        with_disk.wait_for_unit("multi-user.target")
        with_disk.succeed("ccvm-scratch is-encrypted /scratch")
        with_disk.succeed("dmsetup table ccvm-scratch | grep -w crypt")
        with_disk.succeed("dd if=/dev/zero of=/scratch/file bs=1M count=64 conv=fsync")

    with subtest("a machine without its disk boots all the same, in RAM"):
        without.wait_for_unit("multi-user.target")
        without.succeed("findmnt -no FSTYPE /scratch | grep -w tmpfs")
        without.fail("ccvm-scratch status")

    with subtest("the key can be destroyed"):
        machine.succeed("ccvm-scratch wipe --yes")
        machine.fail("dmsetup table ccvm-scratch | grep -w crypt")
  '';
}
