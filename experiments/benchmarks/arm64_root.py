"""An aarch64 Debian in a folder, whose programs QEMU runs: made once, by root, on a Debian of another architecture.

Everything is mounted in a mount namespace of its own, which ends with the command that runs in it: the machine is left
as it was, and the folder can be deleted at any time.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from common import ROOT

from devices.agent.bundle import write_bundle

PACKAGES = ("numpy", "onnxruntime", "ai-edge-litert")
AGENT = "/agent.pyz"
"""Where the agent lies in the folder."""

# With binfmt_misc the kernel gives every aarch64 program to the emulator, also those that others start.
_KERNEL = Path("/proc/sys/fs/binfmt_misc")
_EMULATOR = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
_TOOLS = {"debootstrap": "debootstrap", "unshare": "util-linux", _EMULATOR: "qemu-user-static"}
"""What is run or read, and the Debian package it comes from."""
# Python runs in the folder with what the wheels need; the rest of a system would only take time.
_DEBIAN = "python3,libstdc++6"
_OLDEST_GLIBC, _NEWEST_GLIBC = 17, 36
_CPUINFO = "/etc/cpuinfo"
# Arguments: the folder, then the command.
_INSIDE = f"""set -e
cd "$1"
shift
[ -e {_KERNEL}/register ] || mount -t binfmt_misc binfmt_misc {_KERNEL}
[ -e {_KERNEL}/qemu-aarch64 ] || cat {_EMULATOR} > {_KERNEL}/register
mount -t proc proc proc
if [ -e .{_CPUINFO} ]; then
  mount --bind .{_CPUINFO} proc/cpuinfo
  mount -t sysfs -o ro sysfs sys
fi
exec chroot . "$@"
"""


class SetupError(Exception):
    """What is missing here, and how to get it."""


def make_root(folder: Path) -> Path:
    """The folder, made where it is missing; most of an hour on a slow machine, and about 500 MB.

    Raises:
        SetupError: something is missing here, or a step failed.
    """
    check_machine()
    if not folder.exists():
        new = folder.with_name(f"{folder.name}.new")
        if new.exists():  # an earlier attempt was stopped
            shutil.rmtree(new)
        new.parent.mkdir(parents=True, exist_ok=True)
        mirror, release = debian()
        options = ["--arch=arm64", "--foreign", "--variant=minbase", f"--include={_DEBIAN}"]
        _step("Debian's packages", ["debootstrap", *options, release, str(new), mirror])
        _step("Debian's second stage, emulated", inside(new, ["/debootstrap/debootstrap", "--second-stage"]))
        _install_wheels(new)
        new.rename(folder)
    (folder / _CPUINFO.lstrip("/")).write_text(cpuinfo())
    write_bundle(folder / AGENT.lstrip("/"))
    return folder


def check_machine() -> None:
    """Whether a root folder can be made and used here.

    Raises:
        SetupError: it cannot; with what to do about it.
    """
    if platform.machine() == "aarch64":
        raise SetupError("this machine is an aarch64 itself: run the agent on it, there is nothing to emulate")
    if shutil.which("apt-get") is None:
        raise SetupError("this is no Debian (there is no apt-get); try a container or a virtual machine with Debian")
    missing = {package for tool, package in _TOOLS.items() if shutil.which(tool) is None and not Path(tool).exists()}
    if missing:
        names = " ".join(sorted(missing))
        raise SetupError(f"{names} missing; install with: apt-get install --no-install-recommends {names}")
    if os.geteuid() != 0:
        raise SetupError("only root may mount and change the root folder; run this as root")


def inside(folder: Path, command: Sequence[str]) -> list[str]:
    """The command that runs a command in the folder; it becomes that command, so signals reach it."""
    return ["unshare", "--mount", "sh", "-c", _INSIDE, "sh", str(folder), *command]


def debian() -> tuple[str, str]:
    """Mirror and release that this machine's own packages come from.

    Raises:
        SetupError: apt is configured in another way.
    """
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        mirror, _, offered = line.partition(" ")
        if release and offered == release:
            return mirror, release
    raise SetupError(f"apt has no source for the release {release!r} of this machine; add one to /etc/apt/sources.list")


def cpuinfo() -> str:
    """The emulated processors: ONNX Runtime crashes where /proc shows those of another architecture."""
    lines = ("model name\t: QEMU user-mode aarch64", "Features\t: fp asimd", "CPU implementer\t: 0x00")
    lines += ("CPU architecture: 8", "CPU variant\t: 0x0", "CPU part\t: 0x051", "CPU revision\t: 0")
    return "".join("\n".join((f"processor\t: {core}", *lines, "\n")) for core in range(os.cpu_count() or 1))


def _install_wheels(folder: Path) -> None:
    """Unpacked by this machine's pip: the emulated one would take minutes to start."""
    python = (folder / "usr" / "bin" / "python3").readlink().name.removeprefix("python")
    target = folder / "usr" / "local" / "lib" / f"python{python}" / "dist-packages"
    systems = [f"--platform=manylinux_2_{minor}_aarch64" for minor in range(_OLDEST_GLIBC, _NEWEST_GLIBC + 1)]
    options = ["--quiet", "--only-binary=:all:", f"--python-version={python}", "--target", str(target), *systems]
    pip = [sys.executable, "-m", "pip", "install", *options, "-c", str(ROOT / "constraints.txt")]
    _step("wheels", [*pip, *PACKAGES])


def _step(name: str, command: Sequence[str]) -> None:
    print(f"arm64: {name}", flush=True)
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise SetupError(f"{name}: {command[0]} ended with {done.returncode}; what it said is above")
