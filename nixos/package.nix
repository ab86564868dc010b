# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The package for nixpkgs' callPackage. Built before any boot; what is in it runs at three times:
#
#   out      ccvm-scratch, in the running guest, with man pages and completion
#   initrd   generator, units and setup program, in the guest's initrd (module.nix puts them there)
#   forHost  instead of both: ccvm-scratch-run, which starts the VM
#
# A second output, so that an initrd holds nothing of the first.

{
  lib,
  stdenv,
  cryptsetup,
  json_c,
  lvm2,
  meson,
  ninja,
  pkg-config,
  scdoc,
  systemd,
  util-linux,
  versionCheckHook,
  pkgs,
  forHost ? false,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = if forHost then "ccvm-scratch-run" else "ccvm-scratch";
  version = "0.2.0";
  src = lib.cleanSource ../.;

  outputs = [ "out" ] ++ lib.optional (!forHost) "initrd";

  strictDeps = true;
  nativeBuildInputs = [
    meson
    ninja
    pkg-config
    scdoc
  ];
  # lvm2 for libdevmapper, util-linux for libmount.
  buildInputs = lib.optionals (!forHost) [
    cryptsetup
    json_c
    lvm2
    systemd
    util-linux
  ];

  # Every feature by name: nixpkgs turns all that are "auto" on. The directories too, as pkg-config gives those of the
  # package systemd, which is read-only here.
  mesonFlags = [
    (lib.mesonEnable "guest" (!forHost))
    (lib.mesonBool "host" forHost)
    (lib.mesonEnable "man" true)
    (lib.mesonEnable "selinux" false)
    (lib.mesonEnable "tests" false)
  ]
  ++ lib.optionals (!forHost) [
    (lib.mesonOption "systemgeneratordir" "${placeholder "initrd"}/lib/systemd/system-generators")
    (lib.mesonOption "systemunitdir" "${placeholder "initrd"}/lib/systemd/system")
    (lib.mesonOption "catalogdir" "${placeholder "initrd"}/lib/systemd/catalog")
    (lib.mesonOption "programdir" "${placeholder "initrd"}/lib/ccvm-scratch")
  ];
  mesonInstallTags = [ (if forHost then "host" else "guest") ];

  # systemd there reads no catalog but its own.
  postInstall = lib.optionalString (!forHost) "rm -r $initrd/lib/systemd/catalog";

  doInstallCheck = true;
  nativeInstallCheckInputs = [ versionCheckHook ];

  # A machine, which takes KVM to be quick: nix build .#ccvm-scratch.tests.scratch
  passthru.tests.scratch = import ./tests/scratch.nix { inherit pkgs; };

  meta = {
    description = "Encrypted, throw-away disk space for virtual machines";
    homepage = "https://ccvm-scratch.example/";
    license = lib.licenses.lgpl21Plus;
    platforms = lib.platforms.linux;
    mainProgram = finalAttrs.pname;
  };
})
