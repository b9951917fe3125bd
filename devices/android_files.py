"""Files on a phone, each under the digest of its content: copied once, and used only if they arrived whole."""

from __future__ import annotations

import re
from pathlib import Path

from devices.adb import Adb
from devices.errors import DeviceError
from devices.program import Deadline

FOLDER = "/data/local/tmp/hwnas"
"""The one place on a phone where a program may both be put and be run without root."""
_KEPT_MODELS = 64
_MODEL = re.compile(r"[0-9a-f]{64}\.tflite")
_DIGEST = re.compile(r"^\\?([0-9a-f]{64})\b")


def put_program(phone: Adb, path: Path, sha256: str, deadline: Deadline) -> str:
    """Have a program on the phone, ready to be run.

    Args:
        phone: where to.
        path: the program on this machine.
        sha256: digest of its bytes.
        deadline: how long it may take.

    Returns:
        Where it is on the phone.

    Raises:
        DeviceError: the phone cannot be reached, has no room, or what arrived is not what was sent.
    """
    place = _put(phone, path, sha256, f"program-{sha256}", deadline)
    phone.shell(["chmod", "755", place], deadline.left_s())
    return place


def put_model(phone: Adb, path: Path, sha256: str, deadline: Deadline) -> str:
    """Have a TFLite file on the phone; of earlier ones the latest few dozen stay.

    Arguments, result and errors are those of ``put_program``.
    """
    place = _put(phone, path, sha256, f"{sha256}.tflite", deadline)
    listed = phone.shell(["ls", "-t", FOLDER], deadline.left_s()).split()
    old = [name for name in listed if _MODEL.fullmatch(name) and name != f"{sha256}.tflite"][_KEPT_MODELS - 1 :]
    if old:
        phone.shell(["rm", "-f", *(f"{FOLDER}/{name}" for name in old)], deadline.left_s())
    return place


def _put(phone: Adb, path: Path, sha256: str, name: str, deadline: Deadline) -> str:
    place = f"{FOLDER}/{name}"
    if _digest(phone, place, deadline) == sha256:
        phone.shell(["touch", place], deadline.left_s())
        return place
    phone.shell(["mkdir", "-p", FOLDER], deadline.left_s())
    phone.push(path, f"{place}.part", deadline.left_s())
    found = _digest(phone, f"{place}.part", deadline)
    if found != sha256:
        raise DeviceError(
            f"{path} did not arrive on the phone as it is here (sha256 {(found or 'missing')[:12]}… instead of "
            f"{sha256[:12]}…): is there room in {FOLDER}, and does nothing else write {path.name}?"
        )
    phone.shell(["mv", f"{place}.part", place], deadline.left_s())
    return place


def _digest(phone: Adb, place: str, deadline: Deadline) -> str | None:
    found = _DIGEST.search(phone.shell(["sha256sum", place], deadline.left_s(), check=False))
    return found.group(1) if found else None
