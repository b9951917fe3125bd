"""The commands about devices. Whatever takes long to import is imported inside them."""

# ruff: noqa: PLC0415 (see above)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


@devices_app.command(
    "serve",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=False,
)
def devices_serve_command(context: typer.Context) -> None:
    """Measure on this machine's devices for other machines, until Ctrl-C; --help tells the options."""
    with reported():
        from devices.agent.cli import run

        run(["serve", *context.args], program="nas devices")


@devices_app.command("bundle")
def devices_bundle_command(
    path: Annotated[Path, typer.Argument(help="File to write, such as agent.pyz.", metavar="FILE")],
) -> None:
    """Write the agent as one file, to be copied to a board and run there with `python3 FILE serve`."""
    with reported():
        from devices.agent.bundle import write_bundle

        size = write_bundle(path)
        typer.echo(f"wrote {path} ({size / 1000:.0f} kB); on the board: python3 {path.name} check")
