# SPDX-License-Identifier: LGPL-2.1-or-later
"""What others start the VM with: examples/libvirt.xml by libvirt itself (its driver for QEMU, without KVM), mkosi, vmspawn."""

import os
import pathlib
import re
import resource
import shlex
import shutil
import xml.etree.ElementTree as ElementTree

import machine
from cases import GIB, TRIM_SCRIPT, check_encrypted, check_given_back, hear_allocated
from registry import case
from script import Script
from vm import VM, Image, check, check_equal

PROJECT = pathlib.Path(__file__).resolve().parents[2]


def add(parent, tag, text=None, /, **attributes):
    element = ElementTree.SubElement(parent, tag, attributes)
    element.text = text
    return element


LIBVIRT_SCRIPT = Script((None, "ask running")) + TRIM_SCRIPT


class LibvirtVM(VM):
    """The example with this guest in the place of its own, and no more changed than that takes. It is started twice: as it
    stands, until QEMU has its image open, and with one that has no name, as its text says."""

    def __init__(self, name, locked):
        super().__init__(name, script=LIBVIRT_SCRIPT)
        self.locked = locked

    def domain(self, image):
        domain = ElementTree.parse(PROJECT / "examples/libvirt.xml").getroot()
        devices = domain.find("devices")
        root, scratch = devices.findall("disk")

        # Neither KVM nor a network here.
        domain.set("type", "qemu")
        domain.find("memory").text = "1"
        domain.find("cpu").set("mode", "maximum")
        if not self.locked:
            domain.remove(domain.find("memoryBacking"))
        devices.remove(devices.find("interface"))
        devices.remove(devices.find("console"))

        system = domain.find("os")
        system.remove(system.find("boot"))
        add(system, "kernel", str(machine.kernel(self.machine)))
        add(system, "initrd", str(machine.initrd(self.machine, self.directory)))
        add(system, "cmdline", machine.options(self.machine))
        root.find("driver").set("type", "raw")
        root.find("source").set("file", f"{self.machine.guest}/root.raw")
        add(root, "readonly")
        for name, value in image.items():
            scratch.find("source").set(name, value)
        return domain

    def add_ports(self, domain):
        """The test's own."""
        devices = domain.find("devices")
        add(add(devices, "serial", type="file"), "source", path=str(self.console))
        for port, kind, source in (
            ("ccvm.test", "file", {"path": str(self.port)}),
            ("ccvm.host", "unix", {"mode": "bind", "path": f"{self.directory}/host"}),
        ):
            channel = add(devices, "channel", type=kind)
            add(channel, "source", **source)
            add(channel, "target", type="virtio", name=port)
        script = add(domain, "sysinfo", type="fwcfg")
        add(script, "entry", name="opt/io.systemd.credentials/ccvm.test", file=f"{self.directory}/script")

    def command(self):
        # The domain of a driver that is part of the process, with its files here, and as the user who has them.
        state = self.directory / "libvirt"
        (state / "etc").mkdir(parents=True)
        (state / "etc/qemu.conf").write_text(
            'user = "root"\ngroup = "root"\nstdio_handler = "file"\ncgroup_controllers = []\n'
            "namespaces = []\nsecurity_driver = \"none\"\n"
        )
        Image(self.directory / "image", 2 * GIB)
        source = {"file": f"{self.directory}/image"}
        named, nameless = self.domain(source), self.domain({**source, "fdgroup": "scratch"})
        self.add_ports(nameless)
        texts = [ElementTree.tostring(domain, "unicode") for domain in (named, nameless)]
        return [PROJECT / "tests/tools/libvirt-domain", state, *texts, self.directory]

    def qemu(self):
        pid = (self.directory / "libvirt/run/qemu/agent.pid").read_text().strip()
        return pathlib.Path("/proc") / pid

    def nameless_image(self):
        """As QEMU has it open, once or more."""
        fds = (self.qemu() / "fd").iterdir()
        return Image(next(fd for fd in fds if os.readlink(fd).startswith(f"{self.directory}/#")), 2 * GIB)


def may_lock():
    """Whether libvirt may give QEMU the limit that it needs for that: not in a container without CAP_SYS_RESOURCE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, resource.RLIM_INFINITY))
    except (ValueError, PermissionError):
        return False
    return True


def check_memory(process, locked):
    check(b"dump-guest-core=off" in (process / "cmdline").read_bytes(), "guest RAM would be in a core dump")
    [size] = re.findall(r"^VmLck:\s+(\d+) kB", (process / "status").read_text(), re.M)
    check(not locked or int(size) >= GIB // 1024, f"of guest RAM {size} KiB are locked")


@case(seconds=30)
def libvirt():
    """The disk by its serial, the marker by SMBIOS, locked memory that no dump has, and space that goes back to the host."""
    locked = may_lock()
    if not locked:
        print("# guest RAM is not locked: nobody may raise RLIMIT_MEMLOCK here")
    vm = LibvirtVM("libvirt", locked).start()
    vm.hear("running")
    check_memory(vm.qemu(), locked)
    vm.host.write("go")
    allocated = hear_allocated(vm, vm.nameless_image())
    report = vm.wait()
    check_encrypted(report, 2 * GIB)
    check_given_back(allocated)


class ConsoleVM(VM):
    """What starts it has the guest's console on its own, and tells of it."""

    def wait(self):
        report = super().wait()
        self.console.write_bytes(self.output)
        return report


class MkosiVM(ConsoleVM):
    """`mkosi vm` of the reference guest, with the ports of a test behind mkosi's own devices."""

    def command(self):
        state = self.directory / "mkosi"
        for name, source in (("vmlinuz", "vmlinuz"), ("initrd", "initrd"), ("raw", "root.raw")):
            state.mkdir(exist_ok=True)
            (state / f"ccvm-guest.{name}").symlink_to(self.machine.guest / source)
        (state / "ccvm-guest").symlink_to("ccvm-guest.raw")
        ports = [*machine.ports(self.machine, self.directory), *machine.credentials(self.machine, self.directory)]
        return [
            "mkosi",
            f"--directory={PROJECT}",
            f"--output-directory={state}",
            f"--workspace-directory={self.directory}",
            f"--cache-directory={self.directory}/cache",
            f"--package-cache-directory={self.directory}/packages",
            "--ephemeral=yes",
            "--kvm=no",
            "--tpm=no",
            "--vsock=no",
            "--ram=1G",
            "--runtime-network=none",
            "--kernel-command-line-extra=ccvm.device_timeout=120",
            f"--qemu-args={shlex.join(ports)}",
            "vm",
        ]


@case(seconds=30, since_systemd=256)
def mkosi_vm():
    """mkosi.conf has the disk and the marker."""
    left = set(pathlib.Path("/var/tmp").glob("mkosi-drive-*"))
    vm = MkosiVM("mkosi-vm")
    report = vm.run()
    check_encrypted(report, 20 * GIB)
    check(set(pathlib.Path("/var/tmp").glob("mkosi-drive-*")) <= left, "the image is still there")


# vmspawn has no port for the guest's answers: they go to a disk.
VMSPAWN_UNIT = r"""[Unit]
DefaultDependencies=no
After=multi-user.target
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate
[Service]
Type=exec
LoadCredential=vmspawn.test
ExecStart=/bin/sh -c '{ sh $CREDENTIALS_DIRECTORY/vmspawn.test; echo "ccvm.test: success $?"; } >/dev/disk/by-id/virtio-port'
"""


class VmspawnVM(ConsoleVM):
    """examples/vmspawn.sh with this guest in the place of its own, in a container with a service manager."""

    def command(self):
        (self.directory / "unit").write_text(VMSPAWN_UNIT)
        self.port.write_bytes(bytes(1 << 20))
        # vmspawn has it open for writing, which QEMU takes for a reason to lock all others out.
        root = shutil.copy(self.machine.guest / "root.raw", self.directory)
        return [
            pathlib.Path(__file__).parents[1] / "tools/container",
            *("env", f"CCVM_SCRATCH_DIR={self.directory}", str(PROJECT / "examples/vmspawn.sh")),
            *("--kvm=no", "--vsock=no", "--tpm=no", "--register=no", "--pass-ssh-key=no", "--ram=1G", "--firmware=none"),
            *("--console=read-only", f"--linux={self.machine.guest}/vmlinuz", f"--initrd={machine.initrd(self.machine, self.directory)}", f"--image={root}"),
            f"--extra-drive={self.port}",
            f"--load-credential=systemd.extra-unit.vmspawn-test.service:{self.directory}/unit",
            f"--load-credential=vmspawn.test:{self.directory}/script",
            "systemd.wants=vmspawn-test.service",
            *machine.options(self.machine).split(),
        ]

    def connect(self):
        return None  # no port


@case(seconds=30, since_systemd=259)
def vmspawn():
    """systemd-vmspawn (259 or later) has the image by its descriptor, without a name, and the guest finds it."""
    vm = VmspawnVM("vmspawn")
    report = vm.run()
    check_encrypted(report, 20 * GIB)
    check_equal(sorted(path.name for path in vm.directory.iterdir()), ["port", "root.raw", "script", "unit"], "names that are left")
