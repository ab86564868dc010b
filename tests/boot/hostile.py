# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host that means harm: it may write to the image at any time, and plant in it what it likes.

In each case the guest writes a canary and the host then searches the image for it.
"""

import hashlib
import json
import subprocess
import threading
import time

from cases import CANARY, MIB, WRITE_CANARY, count, directory, luks_metadata
from fault import FaultVM, check_no_fault, shim
from machine import GUEST
from registry import case
from vm import Image, check, check_equal

SIZE = 128 * MIB


def pieces(path):
    """How many 16-byte pieces of the canary are in the file, wherever in its lines they begin."""
    return sum(count(path, (CANARY * 2)[i : i + 16]) for i in range(16))


def check_ciphertext(report, image):
    """The mapping has canaries enough, a search finds what is there to find, and the image has none."""
    check(int(report.line("on-mapping")) > 100000, "the canary is not on the mapping, which proves nothing")
    sample = image.path.with_name("sample")
    sample.write_bytes(bytes(5) + CANARY[3:] + CANARY[:3])
    check_equal(pieces(sample), 1, "pieces of the canary in a sample that has one")
    check_equal(pieces(image.path), 0, "pieces of the canary in the image")


def attacked(name, image, **options):
    options.setdefault("devices", image.device())
    report = FaultVM(name, script=WRITE_CANARY, **options).run()
    check_no_fault(report, SIZE)
    check_ciphertext(report, image)
    return report


def rewrite_cipher(path):
    """Both LUKS2 headers on the image, as long as they are valid, get a cipher that encrypts nothing.

    See "LUKS2 On-Disk Format Specification", 2.1. Returns how many were changed.
    """
    changed = 0
    with open(path, "r+b") as f:
        for offset, magic in (0, b"LUKS\xba\xbe"), (16384, b"SKUL\xba\xbe"):
            f.seek(offset)
            header = bytearray(f.read(16384))
            if header[:6] != magic or b"aes-xts-plain64" not in header:
                continue
            header[4096:] = header[4096:].replace(b"aes-xts-plain64", b"cipher_null-ecb")
            header[448:512] = bytes(64)
            header[448:480] = hashlib.sha256(header).digest()
            f.seek(offset)
            f.write(header)
            changed += 1
    return changed


@case
def header_rewritten_before_activation():
    """In the one moment in which it would matter if anything were read back from the disk."""
    image = Image(directory() / "disk", SIZE)

    def rewrite(vm):
        vm.hear("formatted")
        check_equal(rewrite_cipher(image.path), 2, "headers rewritten")
        check("cipher_null-ecb" in luks_metadata(image), "cryptsetup does not take the rewritten header")
        vm.host.write("go")

    attacked("header-rewritten-before-activation", image, files=shim("formatted", "ask"), meanwhile=rewrite)
    check("cipher_null-ecb" in luks_metadata(image), "the rewritten header is not there any more")


@case
def header_rewritten_at_any_time():
    """Over and over, from the first header that appears until the guest has powered off."""
    image = Image(directory() / "disk", SIZE)
    done = threading.Event()
    rewritten = []

    def rewrite():
        while not done.is_set():
            if n := rewrite_cipher(image.path):
                rewritten.append(n)
            time.sleep(0.001)

    thread = threading.Thread(target=rewrite)
    try:
        attacked("header-rewritten-at-any-time", image, meanwhile=lambda vm: thread.start())
    finally:
        done.set()
    thread.join()
    check(sum(rewritten) >= 2, f"only {sum(rewritten)} headers were rewritten")
    # Perhaps torn by the guest's own writes, so that cryptsetup may not take it.
    check(b"cipher_null-ecb" in image.path.read_bytes()[:32768], "the header is not the rewritten one")


@case
def planted_luks():
    """A header whose passphrase and volume key the host knows."""
    image = Image(directory() / "disk", SIZE)
    cryptsetup = ["cryptsetup", "--batch-mode", "--key-file=-"]
    options = ["--type=luks2", "--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", "--label=ccvm-scratch"]
    subprocess.run([*cryptsetup, *options, "luksFormat", image.path], input=b"known", check=True)
    planted = luks_metadata(image)
    unlock = [*cryptsetup, "open", "--test-passphrase", image.path]
    check_equal(subprocess.run(unlock, input=b"known").returncode, 0, "the passphrase before the boot")

    attacked("planted-luks", image)
    metadata = luks_metadata(image)
    check(json.loads(planted)["digests"] != json.loads(metadata)["digests"], "the volume key is the planted one")
    check_equal(json.loads(metadata)["keyslots"], {}, "keyslots")
    failed = subprocess.run(unlock, input=b"known", capture_output=True)
    check(failed.returncode != 0, "the planted passphrase opens the new header")


def root_uuid(image=GUEST / "root.raw"):
    """Of the guest's root: erofs in the first partition of its image."""
    with open(image, "rb") as f:
        f.seek(2 * 512 + 32)
        first = int.from_bytes(f.read(8), "little") * 512
        f.seek(first + 1024)
        superblock = f.read(128)
    check_equal(superblock[:4], bytes.fromhex("e2e1f5e0"), "magic of the root's erofs")
    digits = superblock[48:64].hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


# Whatever systemd-gpt-auto-generator and udev know to do something with.
PARTITIONS = """label: gpt
size=10MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
size=10MiB, type=8484680C-9521-48C6-9C11-B0720656F69E, name=usr
size=10MiB, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F, name=swap
size=10MiB, type=933AC7E1-2EB4-4F13-B844-0E14E2AEF915, name=home
size=10MiB, type=3B8F8425-20E0-4F3B-907F-1A25A76F98E8, name=srv
size=10MiB, type=4D21B016-B534-45C2-A9FB-5C16E091FD2D, name=var
size=10MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
"""


@case
def planted_partitions():
    """A partition table with all types that are mounted by themselves, and content that fits.

    In the first partition is a file system with the root's UUID and label, found before the root, on a guest that looks
    for a UUID.
    """
    image = Image(directory() / "disk", SIZE)
    subprocess.run(["sfdisk", "-q", image.path], input=PARTITIONS, text=True, check=True)
    uuid = root_uuid()
    part = image.path.with_name("part")
    for start, command in [
        (1, ["mkfs.ext4", "-q", "-F", "-U", uuid, "-L", "ccvm-root"]),
        (21, ["mkswap", "-q"]),
        (31, ["mkfs.ext4", "-q", "-F"]),
        (41, ["mkfs.ext4", "-q", "-F"]),
    ]:
        part.write_bytes(b"")
        with open(part, "r+b") as f:
            f.truncate(10 * MIB)
        subprocess.run([*command, part], check=True, capture_output=True)
        with open(image.path, "r+b") as f:
            f.seek(start * MIB)
            f.write(part.read_bytes())
    report = attacked("planted-partitions", image, devices=(), first=image.device(), append=f"root=UUID={uuid}")
    check_equal(report.status["device"], "/dev/vda", "the disk")


@case
def stale_signatures():
    """What was on the disk before: RAID, LVM, ZFS and LUKS, at its start and at its end."""
    image = Image(directory() / "disk", SIZE)
    subprocess.run(["mkfs.btrfs", "-q", "-f", image.path], check=True)
    subprocess.run(["sfdisk", "-q", "--wipe=never", image.path], input="label: gpt\n", text=True, check=True)
    with open(image.path, "r+b") as f:
        for offset, signature in [
            (0x4000, b"SKUL\xba\xbe\x00\x02"),  # LUKS2, the second header, at all places where it may be
            (0x8000, b"SKUL\xba\xbe\x00\x02"),
            (0x400000, b"SKUL\xba\xbe\x00\x02"),
            (512, b"LABELONE" + bytes(16) + b"LVM2 001"),
            (1080, b"\x53\xef"),  # ext4
            (32769, b"CD001\x01"),  # ISO 9660
            (128 * 1024, bytes.fromhex("0cb1ba0000000000")),  # a ZFS uberblock
            (SIZE - 1024, b"Intel Raid ISM Cfg Sig. 1.3.00"),
            (SIZE - 65536, bytes.fromhex("fc4e2ba9")),  # MD RAID 0.90
            (SIZE - 8192, bytes.fromhex("fc4e2ba901000000")),  # MD RAID 1.0
        ]:
            f.seek(offset)
            f.write(signature)
    attacked("stale-signatures", image)
