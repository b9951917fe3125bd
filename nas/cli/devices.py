"""The commands about devices. Whatever takes long to import is imported inside them."""

# ruff: noqa: PLC0415 (see above)

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas.cli.errors import reported

devices_app = typer.Typer(help="Devices that networks are measured on.", no_args_is_help=True)


@devices_app.command("list")
def devices_list_command() -> None:
    """List the devices."""
    with reported():
        from devices import describe_device, device_names, get_device

        table = Table("device", "model files", "description")
        for name in device_names():
            table.add_row(name, ", ".join(get_device(name).formats), escape(describe_device(name)))
        Console().print(table)


@devices_app.command("check")
def devices_check_command() -> None:
    """Say of every device whether it can be used here, and how to get it if not."""
    with reported():
        from devices import device_names, get_device

        table = Table("device", "usable", "runtime", "what to do")
        for name in device_names():
            device = get_device(name)
            info, reason = device.info(), device.unavailable_reason()
            runtime = f"{info.runtime} {info.runtime_version}"
            table.add_row(name, "no" if reason else "yes", escape(runtime), escape(reason or ""))
        Console().print(table)
