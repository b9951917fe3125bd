"""The commands about devices. Whatever takes long to import is imported inside them."""

# ruff: noqa: PLC0415 (see above)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas.cli.errors import reported
from nas.cli.paths import at_home

if TYPE_CHECKING:
    from nas.config import DeviceSection

devices_app = typer.Typer(help="Devices that networks are measured on.", no_args_is_help=True)

_File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        callback=at_home,
        help="YAML file of your own devices (devices.yaml here and in ~/.config/hwnas).",
        metavar="YAML",
    ),
]


@devices_app.command("list")
def devices_list_command(file: _File = None) -> None:
    """List the devices, your own among them, and the boards that networks can be made to fit on."""
    with reported():
        from devices import BOARDS, describe_device, device_names, get_device
        from nas.config import default_places, user_devices

        table = Table("device", "model files", "description")
        for name in device_names():
            table.add_row(name, ", ".join(get_device(name).formats), escape(describe_device(name)))
        own = user_devices(file)
        for name, section in own.items():
            formats = ", ".join(get_device(section.backend, section.options).formats)
            table.add_row(name, formats, escape(_describe(section)))
        console = Console()
        console.print(table)
        console.print("microcontrollers, which are counted and not timed (`boards` in a config):", markup=False)
        boards = Table("board", "flash", "SRAM")
        for board in BOARDS.values():
            boards.add_row(board.name, f"{board.flash_bytes // 1024} KiB", f"{board.sram_bytes // 1024} KiB")
        console.print(boards)
        if not own:
            places = " and ".join(map(str, default_places()))
            console.print(f"devices of your own: none (looked for in {places})", soft_wrap=True, markup=False)


@devices_app.command("check")
def devices_check_command(file: _File = None) -> None:
    """Say of every device whether it can be used here, and how to get it if not."""
    with reported():
        from devices import device_names, get_device
        from nas.config import user_devices

        table, console = Table("device", "usable", "runtime"), Console()
        missing: dict[str, str] = {}
        made = {name: get_device(name) for name in device_names()}
        made |= {name: get_device(own.backend, own.options) for name, own in user_devices(file).items()}
        for name, device in made.items():
            info, reason = device.info(), device.unavailable_reason()
            # One that is there may lack what this device needs of it: the reason tells, and not this column.
            known = info.runtime_version != "missing"
            runtime = f"{info.runtime} {info.runtime_version}" if known else f"{info.runtime}: see below"
            table.add_row(name, "no" if reason else "yes", escape(runtime))
            if reason:
                missing[name] = reason
            device.close()
        console.print(table)
        # Below the table, for sentences with paths and addresses are not read, nor copied, in a narrow column.
        for name, reason in missing.items():
            console.print(f"{name}: {reason}", soft_wrap=True, markup=False, highlight=False)


def _describe(section: DeviceSection) -> str:
    options = ", ".join(f"{option}: {value}" for option, value in section.options.items())
    return f"{section.backend} with {options}" if options else section.backend
