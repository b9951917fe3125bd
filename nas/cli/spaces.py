"""Shows the search spaces and the networks that papers published."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from search_spaces import (
    describe_space,
    get_published,
    get_space,
    macs,
    parameters,
    published_names,
    space_names,
)


def show_spaces(console: Console) -> None:
    """Print a table of the search spaces."""
    table = Table("space", "networks", "decisions", "description")
    for name in space_names():
        space = get_space(name)
        table.add_row(name, f"{space.size:.3g}", str(len(space.decisions)), escape(describe_space(name)))
    console.print(table)


def show_published(console: Console) -> None:
    """Print a table of the published networks, with the sizes that are counted on them."""
    table = Table("published network", "MACs", "parameters")
    for name in published_names():
        published = get_published(name)
        network = published.space.lower(published.architecture)
        table.add_row(name, f"{macs(network) / 1e6:.4g} M", f"{parameters(network) / 1e6:.3g} M")
    console.print(table)
