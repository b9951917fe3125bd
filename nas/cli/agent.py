"""The commands about agents, which measure on other boards."""

# ruff: noqa: PLC0415 (what takes long to import is imported inside the commands)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.errors import reported


def add_agent_commands(app: typer.Typer) -> None:
    """Add ``serve`` and ``bundle`` to the commands about devices."""
    everything = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command("serve", context_settings=everything, add_help_option=False)(_serve)
    app.command("bundle")(_bundle)


def _serve(context: typer.Context) -> None:
    """Measure on this machine's devices for other machines, until Ctrl-C; --help tells the options."""
    with reported():
        import nas.torch_devices  # noqa: F401 (registers them)
        from devices.agent.cli import run

        run(["serve", *context.args], program="nas devices")


def _bundle(
    path: Annotated[Path, typer.Argument(help="File to write, such as agent.pyz.", metavar="FILE")],
) -> None:
    """Write the agent as one file, to be copied to a board and run there with `python3 FILE serve`."""
    with reported():
        from devices.agent.bundle import write_bundle

        size = write_bundle(path)
        typer.echo(f"wrote {path} ({size / 1000:.0f} kB); on the board: python3 {path.name} check")
