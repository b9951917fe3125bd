"""Talks to an Android phone through ``adb``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devices.errors import DeviceError
from devices.program import Finished, run_program

_LIST_TIMEOUT_S = 20.0
"""The first call starts adb's server, which takes some seconds."""
_REMEDY = (
    "install Android's platform-tools (Debian: apt install adb) or give the option adb the path of the program: "
    "https://developer.android.com/tools/adb"
)
_STATES = {
    "unauthorized": (
        "does not trust this machine: unlock it and accept 'Allow USB debugging?'; if it does not ask, run `adb "
        "kill-server` and plug it in again"
    ),
    "authorizing": "is about to be authorised: unlock it and accept 'Allow USB debugging?'",
    "offline": "does not answer: unplug it and plug it in again, or run `adb reconnect offline`",
    "no permissions": (
        "may not be used by this user: add the udev rules (Debian: apt install android-sdk-platform-tools-common) and "
        "plug it in again"
    ),
}


@dataclass(frozen=True, slots=True)
class AttachedPhone:
    """One line of ``adb devices -l``.

    Attributes:
        serial: name that adb knows it by.
        state: ``device`` where it can be used; otherwise ``unauthorized``, ``offline``, ``no permissions`` and others.
        model: of the phone, where adb knows it.
    """

    serial: str
    state: str
    model: str = ""


def parse_devices(text: str) -> list[AttachedPhone]:
    """The phones in the output of ``adb devices -l``; what its server says while it starts is passed over."""
    phones = []
    for line in text.splitlines():
        serial, _, rest = line.strip().partition("\t" if "\t" in line.strip() else " ")
        rest = rest.strip()
        if not rest or serial == "*" or line.startswith("List of devices"):
            continue
        state = "no permissions" if rest.startswith("no permissions") else rest.split()[0]
        model = re.search(r"\bmodel:(\S+)", rest)
        phones.append(AttachedPhone(serial, state, model.group(1) if model else ""))
    return phones


class Adb:
    """One phone, reached through the ``adb`` program.

    Args:
        program: name or path of adb.
        serial: of the phone; may be left out where only one is attached.
    """

    def __init__(self, program: str = "adb", serial: str | None = None) -> None:
        self._program = program
        self._serial = serial

    @property
    def serial(self) -> str | None:
        """Of the phone, where it was given."""
        return self._serial

    def choose(self) -> AttachedPhone:
        """The phone to be used.

        Raises:
            DeviceError: adb is missing, no phone is attached or not the one wanted, there are several and no serial
                was given, or the phone is in no state to be used. The message says what to do.
        """
        done = self._run(["devices", "-l"], _LIST_TIMEOUT_S)
        if done.code != 0:
            raise DeviceError(f"`{self._program} devices -l` failed: {done.last_words()}; try `adb kill-server`")
        phones = parse_devices(done.stdout)
        wanted = [phone for phone in phones if self._serial in (None, phone.serial)]
        if not wanted:
            there = ", ".join(phone.serial for phone in phones) or "none"
            which = "no phone" if self._serial is None else f"no phone with serial {self._serial!r}"
            raise DeviceError(
                f"{which} is attached (attached: {there}): plug it in with a data cable and switch on USB debugging in "
                "its developer options"
            )
        if len(wanted) > 1:
            listed = ", ".join(f"{phone.serial} ({phone.model or phone.state})" for phone in wanted)
            raise DeviceError(f"{len(wanted)} phones are attached: {listed}; say which one with the option serial")
        if wanted[0].state != "device":
            told = _STATES.get(wanted[0].state, f"is in state {wanted[0].state!r}: start it into Android")
            raise DeviceError(f"phone {wanted[0].serial} {told}")
        return wanted[0]

    def shell(self, arguments: Sequence[str], timeout_s: float, *, check: bool = True, lasting: bool = False) -> str:
        """Run a program on the phone and give what it wrote, its complaints at the end.

        adb joins what it is given to one line that the phone's shell reads; every argument is quoted for it, so that it
        arrives as it is here.

        Args:
            arguments: the program and its own.
            timeout_s: adb is stopped after this long.
            check: whether a program that fails is an error.
            lasting: as for ``run_program``.

        Raises:
            DeviceError: the phone cannot be reached, it took too long, or the program failed and ``check`` is set.
        """
        done = self._run([*self._selected(), "shell", shlex.join(arguments)], timeout_s, lasting=lasting)
        if (check and done.code != 0) or _lost(done):
            raise DeviceError(self._explain(done, f"`{arguments[0]} …` on the phone"))
        return done.stdout + done.stderr

    def push(self, path: Path, place: str, timeout_s: float) -> None:
        """Copy a file to the phone.

        Raises:
            DeviceError: the phone cannot be reached, has no room, or it took too long.
        """
        done = self._run([*self._selected(), "push", str(path), place], timeout_s, lasting=True)
        if done.code != 0:
            raise DeviceError(self._explain(done, f"copying {path} to the phone"))

    def _selected(self) -> list[str]:
        return ["-s", self._serial] if self._serial is not None else []

    def _run(self, arguments: Sequence[str], timeout_s: float, *, lasting: bool = False) -> Finished:
        return run_program([self._program, *arguments], timeout_s, remedy=_REMEDY, lasting=lasting)

    def _explain(self, done: Finished, what: str) -> str:
        if _lost(done):
            return f"the phone was lost during {what} ({done.last_words(1)}): is it plugged in, awake and authorised?"
        killed = {139: " (a fault inside the runtime)", 137: " (out of memory, or stopped from outside)"}
        return f"{what} failed with exit code {done.code}{killed.get(done.code, '')}: {done.last_words()}"


def _lost(done: Finished) -> bool:
    """Whether adb itself lost the phone: its own complaints come alone, on the stream for errors."""
    complaint = re.compile(
        r"^(adb: |error: )+(device '.*' not found|device (unauthorized|offline|still)|no devices/emulators|closed|"
        r"more than one device|protocol fault|failed to get feature set|connect failed)"
    )
    return done.code != 0 and any(complaint.match(line) for line in done.stderr.splitlines())
