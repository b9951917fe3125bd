"""Shows networks that a run exported, and where a training stands."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from nas.cli.progress import duration
from nas.files import read_json, reading
from nas.run_directory import RunDirectory
from supernet import read_status


def show_members(console: Console, run_dir: Path) -> None:
    """Print a table of the exported networks: accuracy on the test images and latency on every target."""
    run = RunDirectory(run_dir)
    targets = [target.name for target in run.config.targets]
    table = Table("network", "MACs", "accuracy of the files", *(f"{name}, median ms" for name in targets))
    for name, path in run.cards().items():
        card = read_json(path)
        with reading(path):
            values = [row["value"] for row in card["accuracy"].values() if row["value"] is not None]
            span = f"{min(values):.1%} – {max(values):.1%}" if values else "unknown"
            latencies = [f"{1000 * card['latency'][target]['median_s']:.3f}" for target in targets]
            table.add_row(name, f"{card['macs'] / 1e6:.3g} M", span, *latencies)
    console.print(table)
    places = f"ready to ship: {run_dir / 'export'}   report: {run_dir / 'report' / 'index.html'}"
    console.print(places, markup=False, soft_wrap=True)


def show_training(console: Console, run_dir: Path) -> None:
    """Print where training stands, from its files only."""
    status = read_status(run_dir / "train")
    if status is None:
        console.print(f"training has not begun; `nas train {run_dir}` begins it", markup=False, soft_wrap=True)
        return
    at = status.progress
    lines = [f"step {at.step} of {at.total_steps}, epoch {at.epoch + 1}"]
    if status.finished:
        lines[0] += ", finished"
    else:
        lines[0] += f", about {duration(at.seconds_left)} left at {at.images_per_s:.0f} images/s"
        lines.append(f"as it was {duration(status.age_s)} ago; training tells every few seconds while it runs")
    lines.append(f"loss {at.loss:.3f}, learning rate {at.learning_rate:.3g}")
    if status.accuracies:
        lines.append("on validation images: " + ", ".join(f"{n} {v:.1%}" for n, v in status.accuracies.items()))
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
