"""The commands. Whatever takes long to import is imported inside them, so that help and completion are quick."""

# ruff: noqa: PLC0415 (see above)

from __future__ import annotations

import shlex
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nas.cli.agent import add_agent_commands
from nas.cli.devices import devices_app
from nas.cli.errors import reported
from nas.cli.paths import at_home
from nas.cli.progress import ConsoleProgress
from nas.cli.sweep import sweep_command

app = typer.Typer(
    help="Hardware-aware neural architecture search: from one config file to measured, exported networks.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
add_agent_commands(devices_app)
app.add_typer(devices_app, name="devices")

_ConfigFile = Annotated[Path, typer.Argument(help="YAML file that describes the run.", metavar="CONFIG")]
_RunDir = Annotated[Path, typer.Argument(help="Directory of the run.", metavar="RUN_DIR")]
_Data = Annotated[Path | None, typer.Option("--data", help="Where the images are; takes the place of data.path.")]
_Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a value of the config; repeatable.")
]


def _refuse_set(given: list[str] | None) -> list[str] | None:
    if given:
        told = "stages take the run's config; change it with `nas run CONFIG --run-dir RUN_DIR --set KEY.PATH=VALUE`"
        raise typer.BadParameter(told)
    return given


_NoSet = Annotated[list[str] | None, typer.Option("--set", hidden=True, callback=_refuse_set)]
"""What a stage does not take, to say why."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hwnas {version('hwnas')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command("run")
def run_command(
    config: _ConfigFile,
    run_dir: Annotated[
        Path | None,
        typer.Option("--run-dir", callback=at_home, help="Directory of the run (runs/<name of the config>)."),
    ] = None,
    data: _Data = None,
    override: _Set = None,
) -> None:
    """Run every stage of a config, or go on where an earlier run of it stopped."""
    words = ["run", str(config)]
    words += ["--run-dir", str(run_dir)] if run_dir else []
    words += [word for value in override or () for word in ("--set", value)]
    with reported(resume=_command(words, data)):
        from nas.cli.show import show_members
        from nas.config import load_config
        from nas.pipeline import run
        from nas.run_directory import default_run_directory

        where = run_dir or default_run_directory(config)
        with ConsoleProgress() as progress:
            run(load_config(config, data=data, overrides=override or ()), where, progress=progress)
        show_members(Console(), where)


@app.command("init")
def init_command(config: _ConfigFile, run_dir: _RunDir, data: _Data = None, override: _Set = None) -> None:
    """Make the directory of a run without running anything."""
    with reported():
        from nas.config import load_config
        from nas.pipeline import prepare

        with ConsoleProgress() as progress:
            prepare(load_config(config, data=data, overrides=override or ()), run_dir, progress=progress)
        typer.echo(f"made {run_dir}; `nas train {run_dir}` is the first stage")


def _command(words: list[str], data: Path | None) -> str:
    """What to type for a command, quoted where a shell needs it."""
    return shlex.join(["nas", *words, *(["--data", str(data)] if data else [])])


def _stage_command(stage: str, description: str) -> Callable[..., None]:
    def command(run_dir: _RunDir, data: _Data = None, override: _NoSet = None) -> None:
        with reported(resume=_command([stage, str(run_dir)], data)):
            from nas.pipeline import run_stage

            with ConsoleProgress() as progress:
                run_stage(run_dir, stage, data=data, progress=progress)

    command.__doc__ = description
    return command


@app.command("train")
def train_command(
    run_dir: _RunDir,
    data: _Data = None,
    status: Annotated[
        bool, typer.Option("--status", help="Only show where training stands; it may be running meanwhile.")
    ] = False,
    override: _NoSet = None,
) -> None:
    """Train the supernet."""
    if not status:
        _stage_command("train", "")(run_dir, data)
        return
    with reported():
        from nas.cli.show import show_training
        from nas.run_directory import RunDirectory

        show_training(Console(), RunDirectory(run_dir).path)


for _stage, _description in (
    ("profile", "Measure a spread of networks on every target."),
    ("fit", "Fit the latency predictors and check them on networks that they have not seen."),
    ("search", "Search for the networks that no other beats."),
    ("confirm", "Build the best networks as files, measure them on every target and judge the files."),
    ("export", "Write the folder of each confirmed network, ready to ship."),
    ("report", "Write the report of a run, finished or not."),
):
    app.command(_stage)(_stage_command(_stage, _description))

app.command("sweep")(sweep_command)


@app.command("fleet")
def fleet_command(
    fleet: Annotated[Path, typer.Argument(help="File of known devices; made if it is not there.", metavar="FILE")],
    run_dir: _RunDir,
) -> None:
    """Add what a run measured to a file of known devices, which `predictor.fleet` names."""
    with reported():
        from nas.known_devices import add_run

        known = add_run(fleet, run_dir)
        typer.echo(f"{fleet}: {len(known.devices)} devices, {len(known.matrix)} networks")


@app.command("status")
def status_command(run_dir: _RunDir) -> None:
    """Show which stages of a run are done, and its networks if there are any."""
    with reported():
        from nas.cli.show import show_members
        from nas.run_directory import STAGES, RunDirectory

        run = RunDirectory(run_dir)
        for stage in STAGES:
            typer.echo(f"{stage:8} {'done' if run.is_done(stage) else 'to do'}")
        if run.is_done("export"):
            show_members(Console(), run_dir)


@app.command("spaces")
def spaces_command() -> None:
    """List the search spaces, and the published networks that are members of them."""
    with reported():
        from nas.cli.spaces import show_published, show_spaces

        show_spaces(Console())
        show_published(Console())
