# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The NixOS module: evaluated when the image is built. It puts generator, units, setup program, mkfs and kernel modules
# into the initrd, where they run before initrd-fs.target, and the command into the system. Without a disk and without
# ccvm.nix.enable it adds nothing at all.

{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.ccvm;
  inherit (cfg) scratch;
  inherit (config) fileSystems;
  inherit (lib) types;

  disk = cfg.vmDiskSize > 0;
  store = scratch.nixStore != "no";
  # The overlay is NixOS's, by its fstab, unless the generator is told to make it. Never both: the winner would be
  # whichever generator ran first.
  fstabOverlay = cfg.nix.enable && scratch.nixStore == "upper";

  conf = lib.generators.toINI { } {
    Scratch = {
      VmDisk = scratch.vmDisk;
      Serial = scratch.serial;
      Mounts = lib.concatStringsSep " " scratch.mounts;
      NixStore = scratch.nixStore;
      FileSystem = scratch.fileSystem;
      Header = scratch.header;
      Integrity = scratch.integrity;
      Discard = scratch.discard;
      DeviceTimeoutSec = scratch.deviceTimeoutSec;
      SetupTimeoutSec = scratch.setupTimeoutSec;
      Fallback = scratch.fallback;
      FallbackSize = scratch.fallbackSize;
    };
  };

  mkfsPackage =
    {
      ext4 = pkgs.e2fsprogs;
      xfs = pkgs.xfsprogs;
      btrfs = pkgs.btrfs-progs;
    }
    .${scratch.fileSystem};

  mountPath = mount: lib.head (lib.splitString ":" mount);
  mountedTwice = lib.filter (path: fileSystems ? ${path}) (map mountPath scratch.mounts);

  option =
    type: default: description:
    lib.mkOption { inherit type default description; };
in
{
  options.ccvm = {
    enable = lib.mkEnableOption "encrypted, throw-away disk space for this VM (ccvm-scratch)";

    package = lib.mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package, with an output initrd.";
    };

    vmDiskSize = option types.ints.unsigned 0 ''
      GiB of disk that the host gives to this VM; 0: none, the VM is in RAM alone. The guest only needs to know whether
      it is 0: the size is for what starts the VM, as in `ccvm-scratch-run --vm-disk-size=`. A VM that is started
      without the disk boots as with 0.
    '';

    nix.enable = lib.mkEnableOption ''
      a writable /nix/store: an overlay over /nix/.ro-store, with its upper layer on the scratch pool. Without a disk the
      pool is in RAM'';

    # As in ccvm-scratch.conf(5).
    scratch = {
      vmDisk = option types.bool false ''
        Wait for a disk in every boot. Normally the host tells it, which also attaches the disk.
      '';
      serial = option (types.strMatching "[A-Za-z0-9._-]{1,20}") "ccvm-scratch" "Virtio serial of the disk.";
      mounts = option (types.listOf (types.strMatching "/[^:[:space:]]+(:[0-7]{3,5}(:[0-9]+(:[0-9]+)?)?)?")) [
        "/scratch:1777"
      ] "Directories on the pool, each as PATH[:MODE[:UID[:GID]]].";
      nixStore =
        option
          (types.enum [
            "no"
            "upper"
            "overlay"
          ])
          (if cfg.nix.enable then "upper" else "no")
          ''
            What the generator does for /nix/store: upper provides /nix/.rw-store, and the overlay is in `fileSystems`;
            overlay makes that too.
          ''
        // {
          defaultText = lib.literalExpression ''if config.ccvm.nix.enable then "upper" else "no"'';
        };
      fileSystem =
        option
          (types.enum [
            "ext4"
            "xfs"
            "btrfs"
          ])
          (if scratch.integrity == "no" then "ext4" else "xfs")
          "File system of the pool. Only this one's mkfs is in the initrd."
        // {
          defaultText = lib.literalExpression ''if config.ccvm.scratch.integrity == "no" then "ext4" else "xfs"'';
        };
      header = option (types.enum [
        "disk"
        "ram"
      ]) "disk" "Where the LUKS2 header is. With ram the image is noise from its first byte.";
      integrity = option (types.enum [
        "no"
        "hmac-sha256"
      ]) "no" "With hmac-sha256 the host cannot change data unnoticed.";
      discard = option types.bool true "Pass TRIM down to the disk, so that the sparse image shrinks.";
      deviceTimeoutSec = option (types.ints.between 1 3600) 10 "Seconds to wait for the disk.";
      setupTimeoutSec = option (types.ints.between 1 3600) (lib.max 10 scratch.deviceTimeoutSec) "Seconds to set it up.";
      fallback = option (types.enum [
        "tmpfs"
        "none"
        "fail"
      ]) "tmpfs" "Without the disk: a pool in RAM; boot without the mounts; or power off.";
      fallbackSize = option (types.strMatching "[0-9]+[%KMGT]?") "50%" "Limit of the pool in RAM.";
    };
  };

  config = lib.mkIf (cfg.enable && (disk || store)) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = config.boot.initrd.systemd.enable;
            message = "ccvm: the disk is set up by systemd in the initrd: set boot.initrd.systemd.enable = true.";
          }
          {
            assertion = scratch.vmDisk -> disk;
            message = "ccvm.scratch.vmDisk waits for a disk, and ccvm.vmDiskSize = 0 says that there is none.";
          }
          {
            assertion = scratch.integrity != "no" -> scratch.fileSystem != "ext4";
            message = "ccvm.scratch.integrity: ext4 reads what was never written, which has no valid tag: set ccvm.scratch.fileSystem to xfs or btrfs.";
          }
          {
            assertion = scratch.integrity != "no" -> scratch.header == "disk";
            message = "ccvm.scratch.integrity keeps a superblock on the disk: it does not go with ccvm.scratch.header = \"ram\".";
          }
          {
            assertion = mountedTwice == [ ];
            message = "ccvm.scratch.mounts and fileSystems both mount ${lib.concatStringsSep ", " mountedTwice}: take it out of one of them.";
          }
          {
            assertion = cfg.nix.enable -> store;
            message = "ccvm.nix.enable needs an upper layer, and ccvm.scratch.nixStore = \"no\" says that there is none.";
          }
          {
            assertion = store -> !(fileSystems ? "/nix/.rw-store");
            message = "ccvm-scratch mounts /nix/.rw-store, and so does fileSystems: set fileSystems.\"/nix/.rw-store\" = lib.mkForce { enable = false; }.";
          }
        ];

        environment.etc."ccvm-scratch.conf".text = conf;
        environment.systemPackages = [ cfg.package ];
        # A unit that failed in the initrd stays in systemctl --failed only if the system knows it too.
        systemd.packages = [ cfg.package.initrd ];

        boot.initrd.systemd = {
          contents = {
            "/etc/ccvm-scratch.conf".text = conf;
            "/etc/systemd/system-generators/ccvm-scratch-generator".source =
              "${cfg.package.initrd}/lib/systemd/system-generators/ccvm-scratch-generator";
          };
          packages = [ cfg.package.initrd ];
          # NixOS binds /run to the real root's before it goes there, without what is mounted below: the pool has to
          # come later, and reaches both.
          services = lib.genAttrs [ "ccvm-scratch-luks" "ccvm-scratch-tmpfs" ] (_: {
            overrideStrategy = "asDropin";
            after = [ "sysroot-run.mount" ];
          });
          # The units name it, which puts nothing into an initrd.
          storePaths = [ "${cfg.package.initrd}/lib/ccvm-scratch/ccvm-scratch-setup" ];
        };
      }

      (lib.mkIf disk {
        boot.initrd = {
          availableKernelModules = [
            "virtio_blk"
            "virtio_scsi"
            "sd_mod"
            "nvme"
            "virtio_mmio"
            "virtio_pci"
            "dm_mod"
            "dm_crypt"
            # For the port on which the host hears how it went.
            "virtio_console"
          ]
          # The ways of the marker: QEMU's fw_cfg and SMBIOS carry system credentials.
          ++ lib.optionals pkgs.stdenv.hostPlatform.isx86_64 [
            "dmi_sysfs"
            "qemu_fw_cfg"
          ]
          ++ lib.optionals (scratch.integrity != "no") [
            "dm_integrity"
            "authenc"
            "hmac"
          ]
          # Names of ciphers change from kernel to kernel, and one that is not there fails the build: nixpkgs keeps
          # the list.
          ++ config.boot.initrd.luks.cryptoModules;

          # The kernel modules of the file system, likewise.
          supportedFilesystems = [ scratch.fileSystem ];

          # /bin is where a service of the initrd searches.
          systemd.extraBin."mkfs.${scratch.fileSystem}" = lib.getExe' mkfsPackage "mkfs.${scratch.fileSystem}";

          # For the udev rules of device-mapper: without them activation would wait for a udev that never answers.
          services.lvm.enable = true;
        };
        # And in the system, for ccvm-scratch wipe.
        services.lvm.enable = true;
      })

      (lib.mkIf store {
        boot.initrd.availableKernelModules = [ "overlay" ];
      })

      (lib.mkIf fstabOverlay {
        # A default, so that an image with an overlay of its own keeps it; and the mkdir that NixOS runs for upper and
        # work finds both made on the pool.
        fileSystems."/nix/store".overlay = lib.mapAttrs (_: lib.mkDefault) {
          lowerdir = [ "/nix/.ro-store" ];
          upperdir = "/nix/.rw-store/store";
          workdir = "/nix/.rw-store/work";
        };

        assertions = [
          {
            assertion = lib.hasPrefix "/nix/.rw-store/" (toString (fileSystems."/nix/store".overlay.upperdir or ""));
            message = "ccvm.nix.enable makes /nix/store an overlay on /nix/.rw-store, and fileSystems.\"/nix/store\" says otherwise: take that out; or set ccvm.scratch.nixStore = \"upper\" instead of ccvm.nix.enable.";
          }
          {
            assertion = fileSystems."/nix/.ro-store".neededForBoot or false;
            message = "ccvm.nix.enable needs the read-only store: give fileSystems.\"/nix/.ro-store\", with neededForBoot = true.";
          }
        ];
      })

      (lib.mkIf (scratch.nixStore == "overlay") {
        assertions = [
          {
            assertion = !(fileSystems ? "/nix/store");
            message = "ccvm.scratch.nixStore = \"overlay\" mounts /nix/store, and so does fileSystems: use ccvm.nix.enable alone, or take one out.";
          }
        ];
      })
    ]
  );
}
