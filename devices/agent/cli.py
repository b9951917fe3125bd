"""The agent's command line: ``nas devices serve`` on a host, ``python agent.pyz serve`` on a board."""

from __future__ import annotations

import argparse
import json
import os
import signal
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from devices.agent.limits import MIB, Limits
from devices.agent.server import Agent, Served
from devices.agent.wire import WireError, get_name, parse_object
from devices.errors import DeviceError
from devices.paths import user_path
from devices.registry import device_names, get_device

_BAD_INPUT = 2
_NOT_SERVED = ("remote",)
"""An agent measures on its own board; a chain of agents would only add what can go wrong."""
_IF_NAMED = ("fake",)
"""Served only where it is asked for: on most boards one device is left, and nobody has to choose."""


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> None:
    """Entry point of the bundled agent: errors are one message and exit code 2."""
    try:
        run(arguments, program)
    except DeviceError as error:
        _say(f"error: {error}")
        sys.exit(_BAD_INPUT)


def run(arguments: Sequence[str] | None = None, program: str | None = None) -> None:
    """Do what the arguments say.

    Raises:
        DeviceError: something given cannot be used.
    """
    given = _parser(program).parse_args(arguments)
    if given.command == "check":
        _check(_served(given.device, given.devices))
    else:
        _serve(given)


def _parser(program: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="Measures model files on this board for other machines.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say of every device whether it can be used here")
    serve = commands.add_parser("serve", help="measure for clients until Ctrl-C or SIGTERM")
    for command in (check, serve):
        command.add_argument("--device", action="append", metavar="NAME", help="only this device; repeatable")
        command.add_argument(
            "--devices",
            type=user_path,
            metavar="FILE",
            help='devices with options, as JSON: {"devices": [{"name": "cpu", "backend": "onnxruntime_cpu"}]}',
        )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at [%(default)s: this machine only]")
    serve.add_argument("--port", type=int, default=8765, help="port to listen at; 0 takes a free one [%(default)s]")
    serve.add_argument("--token-file", type=user_path, metavar="FILE", help="secret that clients have to show")
    serve.add_argument("--certificate", type=user_path, metavar="FILE", help="PEM certificate: encrypts connections")
    serve.add_argument("--key", type=user_path, metavar="FILE", help="PEM key of the certificate")
    serve.add_argument(
        "--directory",
        type=user_path,
        default=Path.home() / ".hwnas-agent",
        metavar="DIR",
        help="model files and results not yet fetched [~/.hwnas-agent]",
    )
    serve.add_argument("--disk-mb", type=int, default=Limits().disk_bytes // MIB, help="for model files [%(default)s]")
    return parser


def _serve(given: argparse.Namespace) -> None:
    token = None if given.token_file is None else read_token(given.token_file)
    tls = _tls(given.certificate, given.key)
    if given.disk_mb < 1:
        raise DeviceError(f"--disk-mb is {given.disk_mb}; give at least 1")
    if not 0 <= given.port < 65536:
        raise DeviceError(f"--port is {given.port}; give 0 to 65535")
    served = _served(given.device, given.devices)
    usable = {name: it for name, it in served.items() if _usable(name, it)}
    if not usable:
        raise DeviceError("none of the devices can be used here; the reasons are above")
    limits = Limits(disk_bytes=given.disk_mb * MIB, artifact_bytes=min(Limits().artifact_bytes, given.disk_mb * MIB))
    agent = Agent(
        usable, given.directory, host=given.host, port=given.port, token=token, tls=tls, limits=limits, log=_log
    )
    if token is not None and tls is None:
        _say("warning: without --certificate the token and all else can be read on the network")
    with _stopped_by_signals() as stopped:
        agent.start()
        _say(f"serving {', '.join(usable)} at {agent.url}; Ctrl-C stops")
        while not stopped.wait(1.0):  # in steps: Windows passes signals on only between them
            pass
        _say("stopping")
        agent.stop()
        _say("stopped")


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; what they did before they do again afterwards."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _usable(name: str, served: Served) -> bool:
    reason = served.device.unavailable_reason()
    if reason:
        _say(f"not served: {name}: {reason}")
    return reason is None


def _check(served: Mapping[str, Served]) -> None:
    for name, it in served.items():
        info, reason = it.device.info(), it.device.unavailable_reason()
        verdict = f"no: {reason}" if reason else f"yes, {info.runtime} {info.runtime_version} on {info.cpu}"
        sys.stdout.write(f"{name:20} {verdict}\n")


def _served(names: Sequence[str] | None, file: Path | None) -> dict[str, Served]:
    """The devices to serve: those of a file or all that are registered, or only those that are named.

    Raises:
        DeviceError: an unknown name, or a file that holds something else.
    """
    known = _read_devices(file) if file else {name: (name, {}) for name in device_names() if name not in _NOT_SERVED}
    for name in names or ():
        if name not in known:
            raise DeviceError(f"there is no device {name!r} to serve; there are {sorted(known)}")
    chosen = names or [name for name in known if file or name not in _IF_NAMED]
    return {
        name: Served(get_device(kind, options), kind, options)
        for name, (kind, options) in known.items()
        if name in chosen
    }


def _read_devices(file: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    try:
        found = parse_object(file.read_bytes())
        rows = [(get_name(row, "name"), get_name(row, "backend"), row.get("options", {})) for row in found["devices"]]
        if not all(isinstance(options, dict) for _, _, options in rows) or len({row[0] for row in rows}) < len(rows):
            raise TypeError("options are no object, or two devices have one name")
        if any(kind in _NOT_SERVED for _, kind, _ in rows):
            raise TypeError(f"an agent cannot serve {_NOT_SERVED[0]!r}")
    except OSError as error:
        raise DeviceError(f"cannot read {file}: {error.strerror}") from error
    except (WireError, AttributeError, KeyError, TypeError) as error:
        example = json.dumps({"devices": [{"name": "cpu", "backend": "onnxruntime_cpu", "options": {}}]})
        raise DeviceError(f"{file} does not list devices ({error}); it should look like {example}") from error
    return {name: (kind, options) for name, kind, options in rows}


def read_token(file: Path) -> str:
    """The secret in a file that only its owner may read.

    Raises:
        DeviceError: a file that cannot be read, or that others can read.
    """
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise DeviceError(f"others can read the token in {file}; run: chmod 600 {file}")
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise DeviceError(f"cannot read the token file {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise DeviceError(f"the token in {file} is not ASCII") from None


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise DeviceError("--certificate and --key belong together; give both")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise DeviceError(f"cannot use the certificate {certificate} with the key {key}: {error}") from error
    return context


def _log(line: str) -> None:
    _say(f"{datetime.now(timezone.utc).isoformat(timespec='seconds')} {line}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
