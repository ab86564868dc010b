# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The NixOS module: evaluated when the image is built. It puts generator, units, setup program, mkfs and kernel modules
# into the initrd, where they run before initrd-fs.target, and the command into the system. Without a disk and without
# ccvm.scratch.nix.enable it adds nothing at all. All its options are below ccvm.scratch, as guests have others of their
# own below ccvm; seed.nix has two of those for guests that do not.

{
  config,
  lib,
  options,
  pkgs,
  ...
}:

let
  inherit (config.ccvm) scratch;
  inherit (config) fileSystems;
  inherit (lib) types;

  disk = scratch.vmDiskSize > 0;
  store = scratch.nixStore != "no";
  # The overlay is NixOS's, by its fstab, unless the generator is told to make it. Never both: the winner would be
  # whichever generator ran first.
  fstabOverlay = scratch.nix.enable && scratch.nixStore == "upper";

  # Since Nix 2.30 this is where builds run, and else it would be in RAM. The mode is what nix-daemon gives it.
  builds = "/nix/var/nix/builds";
  mounts = scratch.mounts ++ lib.optional (store && !lib.elem builds (map mountPath scratch.mounts)) "${builds}:755";

  conf = lib.generators.toINI { } {
    Scratch = {
      VmDisk = scratch.vmDisk;
      Serial = scratch.serial;
      Mounts = lib.concatStringsSep " " mounts;
      NixStore = scratch.nixStore;
      FileSystem = scratch.fileSystem;
      Header = scratch.header;
      Integrity = scratch.integrity;
      Discard = scratch.discard;
      DeviceTimeoutSec = scratch.deviceTimeoutSec;
      Fallback = scratch.fallback;
      FallbackSize = scratch.fallbackSize;
      OnClone = scratch.onClone;
    }
    # By default it is at least DeviceTimeoutSec=, also where the kernel command line has that.
    // (if scratch.setupTimeoutSec == null then { } else { SetupTimeoutSec = scratch.setupTimeoutSec; });
  };

  mkfsPackage =
    {
      ext4 = pkgs.e2fsprogs;
      xfs = pkgs.xfsprogs;
      btrfs = pkgs.btrfs-progs;
    }
    .${scratch.fileSystem};

  # As Mounts= takes one: by a blank or a comma a path would become two.
  mountPattern = "/[^:,[:space:]]+(:([0-7]{3,5})?(:[0-9]*(:[0-9]*(:(${mountOption}([+]${mountOption})*)?)?)?)?)?";
  mountOption = "(dev|suid|noexec)";

  mountPath = mount: lib.head (lib.splitString ":" mount);
  # Those that are switched off are not there, or have enable = false, as the age of NixOS has it.
  mountPoint =
    name:
    let
      given = fileSystems.${name}.mountPoint or null;
    in
    if given == null then name else given;
  mountedOn =
    path: lib.filter (name: mountPoint name == path && fileSystems.${name}.enable or true) (lib.attrNames fileSystems);
  isMounted = path: mountedOn path != [ ];
  mountedTwice = lib.filter isMounted (map mountPath mounts);

  nixStore = if isMounted "/nix/store" then fileSystems.${lib.head (mountedOn "/nix/store")} else { };
  upper = toString (nixStore.overlay.upperdir or "");

  # Tests and build-vm have the store's upper in RAM, which is an option there.
  writableStoreUseTmpfs = options ? virtualisation && options.virtualisation ? writableStoreUseTmpfs;
  # Some images define fileSystems as a whole, over what anybody says of one of them.
  priority = options.fileSystems.highestPrio or 100;
  override =
    {
      "10" = "lib.mkVMOverride";
      "60" = "lib.mkImageMediaOverride";
    }
    .${toString priority} or "lib.mkOverride ${toString priority}";
  takeOut =
    path:
    lib.concatStringsSep " and " (
      map (
        name:
        if priority < 100 then
          "set fileSystems = ${override} { \"${name}\" = lib.mkForce { enable = false; }; }"
        else
          # The entry as a whole: ISO images have an override on it.
          "set fileSystems.\"${name}\" = lib.mkForce { enable = false; }"
      ) (mountedOn path)
    );

  services = [
    "ccvm-scratch-luks"
    "ccvm-scratch-tmpfs"
  ];

  option =
    type: default: description:
    lib.mkOption { inherit type default description; };
in
{
  options.ccvm.scratch = {
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
      pool is in RAM. It needs a read-only store in `fileSystems."/nix/.ro-store"`, and none on /nix/store itself. What Nix
      builds is on the pool, too (/nix/var/nix/builds)'';

    # The others are as in ccvm-scratch.conf(5).
    vmDisk =
      option
        (types.enum [
          true
          false
          "hotplug"
        ])
        false
        ''
          Wait for a disk in every boot. Normally the host tells it, which also attaches the disk. With "hotplug" no boot
          waits, and the disk is used when it is plugged into the running VM.
        '';
    serial = option (types.strMatching "[A-Za-z0-9._-]{1,20}") "ccvm-scratch" "Virtio serial of the disk.";
    mounts = option (types.listOf (types.strMatching mountPattern)) [
      "/scratch:1777"
    ] "Directories on the pool, each as PATH[:MODE[:UID[:GID[:OPTIONS]]]]; OPTIONS: dev, suid, noexec, joined by +.";
    nixStore =
      option
        (types.enum [
          "no"
          "upper"
          "overlay"
        ])
        (if scratch.nix.enable then "upper" else "no")
        ''
          What the generator does for /nix/store: upper provides /nix/.rw-store, and the overlay is in `fileSystems`;
          overlay makes that too.
        ''
      // {
        defaultText = lib.literalExpression ''if config.ccvm.scratch.nix.enable then "upper" else "no"'';
      };
    fileSystem =
      option
        (types.enum [
          "ext4"
          "xfs"
          "btrfs"
        ])
        "ext4"
        "File system of the pool. Only this one's mkfs is in the initrd.";
    header =
      option
        (types.enum [
          "disk"
          "ram"
        ])
        (if scratch.integrity == "no" then "disk" else "ram")
        "Where the LUKS2 header is. With ram nothing on the image has a structure; integrity implies it."
      // {
        defaultText = lib.literalExpression ''if config.ccvm.scratch.integrity == "no" then "disk" else "ram"'';
      };
    integrity = option (types.enum [
      "no"
      "hmac-sha256"
    ]) "no" "With hmac-sha256 the host cannot change data, or put old data back, unnoticed. Its tags are in RAM: 0.4 % of what is written.";
    discard = option types.bool true "Pass TRIM down to the disk, so that the sparse image shrinks.";
    deviceTimeoutSec = option (types.ints.between 1 3600) 10 "Seconds to wait for the disk.";
    setupTimeoutSec = option (types.nullOr (types.ints.between 1 3600)) null "Seconds to set it up; null: 10, or as many as to wait for it.";
    fallback = option (types.enum [
      "tmpfs"
      "none"
      "fail"
    ]) "tmpfs" "Without the disk: a pool in RAM; boot without the mounts; or power off.";
    fallbackSize = option (types.strMatching "[0-9]+[%KMGT]?") "50%" "Limit of the pool in RAM.";

    onClone = option (types.enum [
      "warn"
      "renew"
      "wipe"
    ]) "warn" "When the VM goes on from a snapshot: warn, a new key and an empty pool, or no key at all.";
  };

  config = lib.mkIf (scratch.enable && (disk || store)) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = config.boot.initrd.systemd.enable;
            message = "ccvm: the disk is set up by systemd in the initrd: set boot.initrd.systemd.enable = true.";
          }
          {
            assertion = scratch.vmDisk != false -> disk;
            message = "ccvm.scratch.vmDisk wants a disk, and ccvm.scratch.vmDiskSize = 0 says that there is none.";
          }
          {
            assertion = scratch.vmDisk == "hotplug" -> !store;
            message = "ccvm.scratch.vmDisk = \"hotplug\" has no pool in the boot, and the writable store needs one there: take one of them out.";
          }
          {
            assertion = mountedTwice == [ ];
            message = "ccvm.scratch.mounts and fileSystems both mount ${lib.concatStringsSep ", " mountedTwice}: take it out of ccvm.scratch.mounts, or ${lib.concatStringsSep " and " (map takeOut mountedTwice)}.";
          }
          {
            assertion = scratch.nix.enable -> store;
            message = "ccvm.scratch.nix.enable needs an upper layer, and ccvm.scratch.nixStore = \"no\" says that there is none.";
          }
          {
            assertion = store -> !isMounted "/nix/.rw-store";
            message = "ccvm-scratch mounts /nix/.rw-store, and so does fileSystems: ${takeOut "/nix/.rw-store"}.";
          }
          {
            assertion = scratch.nixStore == "upper" -> lib.hasPrefix "/nix/.rw-store/" upper;
            message = "ccvm.scratch.nixStore = \"upper\" gives /nix/.rw-store to an overlay on /nix/store, and fileSystems has ${
              if !isMounted "/nix/store" then
                "none"
              else if upper == "" then
                "no overlay there"
              else
                "one with its upper on ${upper}"
            }: set its upper to a directory below /nix/.rw-store${
              if scratch.nix.enable then "" else "; or use ccvm.scratch.nix.enable alone, which makes the overlay"
            }.";
          }
          {
            assertion = store -> isMounted "/nix/.ro-store" || scratch.nixStore == "upper" && !scratch.nix.enable;
            message = "The writable store needs a read-only one below it: give fileSystems.\"/nix/.ro-store\", with neededForBoot = true.";
          }
        ];

        environment.etc."ccvm-scratch.conf".text = conf;
        environment.systemPackages = [ scratch.package ];
        # A unit that failed in the initrd stays in systemctl --failed only if the system knows it too. There it runs
        # after a soft-reboot and for a disk that is hot-plugged, and a service of the system has no mkfs in its path. A
        # switch to another configuration must not stop it: it would not start again.
        systemd.packages = [ scratch.package.initrd ];
        systemd.services = lib.genAttrs (services ++ [ "ccvm-scratch-renew" "ccvm-scratch-clone" ]) (_: {
          overrideStrategy = "asDropin";
          path = [ mkfsPackage ];
          restartIfChanged = false;
        });

        boot.initrd.systemd = {
          contents = {
            "/etc/ccvm-scratch.conf".text = conf;
            "/etc/systemd/system-generators/ccvm-scratch-generator".source =
              "${scratch.package.initrd}/lib/systemd/system-generators/ccvm-scratch-generator";
          };
          packages = [ scratch.package.initrd ];
          # NixOS binds /run to the real root's before it goes there, without what is mounted below: the pool has to
          # come later, and reaches both.
          services = lib.genAttrs services (_: {
            overrideStrategy = "asDropin";
            after = [ "sysroot-run.mount" ];
          });
          # The units name it, which puts nothing into an initrd.
          storePaths = [ "${scratch.package.initrd}/lib/ccvm-scratch/ccvm-scratch-setup" ];
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
            # By name: NixOS puts xfs into an initrd only for a system that has it.
            scratch.fileSystem
          ]
          # The ways of the marker: QEMU's fw_cfg and SMBIOS carry system credentials.
          ++ lib.optional pkgs.stdenv.hostPlatform.isx86_64 "dmi_sysfs"
          ++ lib.optional (pkgs.stdenv.hostPlatform.isx86_64 || pkgs.stdenv.hostPlatform.isAarch64) "qemu_fw_cfg"
          ++ lib.optionals (scratch.integrity != "no") [
            "dm_integrity"
            "zram"
            "hmac"
          ]
          # Names of ciphers change from kernel to kernel, and one that is not there fails the build: nixpkgs keeps
          # the list.
          ++ config.boot.initrd.luks.cryptoModules;

          # What else the file system needs, likewise.
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
            assertion = !isMounted "/nix/.ro-store" || fileSystems.${lib.head (mountedOn "/nix/.ro-store")}.neededForBoot;
            message = "ccvm.scratch.nix.enable needs the read-only store in the initrd: set fileSystems.\"/nix/.ro-store\".neededForBoot = true.";
          }
        ];
      })

      (if writableStoreUseTmpfs then { virtualisation.writableStoreUseTmpfs = lib.mkIf store (lib.mkDefault false); } else { })

      (lib.mkIf (scratch.nixStore == "overlay") {
        assertions = [
          {
            assertion = !isMounted "/nix/store";
            message = "ccvm.scratch.nixStore = \"overlay\" mounts /nix/store, and so does fileSystems: use ccvm.scratch.nix.enable alone, or take one out.";
          }
        ];
      })
    ]
  );
}
