from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devices.errors import DeviceError
from devices.program import run_program

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a program with whoever started it")


@pytest.mark.parametrize("lasting", [False, True])
def test_program_is_called_as_it_was_asked_to(lasting: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tell").write_text('#!/bin/sh\nprintf "[%s]" "${0##*/}" "$@" "$WORD"; echo failed >&2; exit 3\n')
    (tmp_path / "tell").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("WORD", "kept")
    monkeypatch.chdir(tmp_path)
    for program in ("tell", "./tell", str(tmp_path / "tell")):
        done = run_program([program, "-c", "a b", "", "ö"], 60.0, lasting=lasting)
        assert (done.code, done.stdout, done.stderr) == (3, "[tell][-c][a b][][ö][kept]", "failed\n")


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("command", [["no-such-program"], ["./missing", "x"], ["/etc/passwd"], ["/bin/true", "a\0b"]])
def test_program_that_cannot_be_started_is_an_error_that_names_the_remedy(command: list[str], lasting: bool) -> None:
    with pytest.raises(DeviceError, match=rf"^{command[0]} cannot be started \(.*\); install it$"):
        run_program(command, 60.0, remedy="install it", lasting=lasting)


@linux
def test_program_finds_signals_as_a_shell_leaves_them() -> None:
    read = "grep SigIgn /proc/self/status"
    plain = subprocess.run(["/bin/sh", "-c", read], capture_output=True, text=True, check=True, restore_signals=True)
    assert run_program(["/bin/sh", "-c", read], 60.0, lasting=True).stdout == plain.stdout


@linux
def test_program_ends_with_whoever_started_it_however_that_ends(tmp_path: Path) -> None:
    started = tmp_path / "started"
    command = ["/bin/sh", "-c", f"echo $$ > {started}.new && mv {started}.new {started} && exec sleep 600"]
    code = f"from devices.program import run_program; run_program({command!r}, 600, lasting=True)"
    starter = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 120
    while not started.exists():
        assert time.monotonic() < until and starter.poll() is None
        time.sleep(0.01)
    starter.send_signal(signal.SIGKILL)
    starter.wait(60)
    program = Path("/proc", started.read_text().strip())
    while program.exists() and ") Z " not in (program / "stat").read_text():  # nobody may be there to bury it
        assert time.monotonic() < until
        time.sleep(0.01)
