"""Makes the tables of README, the guide and the results: `python experiments/benchmarks/tables.py [--check]`.

A table stands between two comments; the first says what it is made of::

    <!-- spaces -->                                  every search space
    <!-- spaceoptions -->                            the options of every search space
    <!-- published -->                               every published network
    <!-- config -->                                  every key of a config
    <!-- options searchers -->                       every searcher and its options; so predictors, strategies, devices
    <!-- summary -->                                 how many figures of each result hold, and which do not
    <!-- claims -->                                  every claim of every result
    <!-- rows cifar10: name=Network, macs=MACs -->   the rows of one result, these keys as columns
    <!-- end -->
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, markdown
from config_tables import config_tables
from option_tables import options_table, space_options_table

from search_spaces import (
    describe_space,
    get_published,
    get_space,
    macs,
    parameters,
    published_names,
    space_module,
    space_names,
)
from search_spaces.published import PrintedCount

BENCHMARKS = ROOT / "experiments" / "benchmarks"
GUIDE = ROOT / "docs" / "guide"
DOCUMENTS = (ROOT / "README.md", GUIDE / "config.md", GUIDE / "spaces.md", RESULTS / "README.md")
_TABLE = re.compile(
    r"(?P<start><!-- (?P<kind>summary|claims|rows|spaces|spaceoptions|published|config|options)"
    r"(?: (?P<name>\w+))?(?:: (?P<columns>[^>]+?))? -->\n)"
    r"(?:.*?)(?P<end><!-- end -->)",
    re.DOTALL,
)

_MISSED_SHOWN = 4
# The first work that a space's module cites.
_PAPER = re.compile(r"[A-Z][\w'-]+(?: et al\.| and [A-Z][\w'-]+)? (?:19|20)\d\d")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the tables, or say whether they are those that would be written."""
    parser = argparse.ArgumentParser(description="the tables of README and the guide")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a table is not up to date")
    options = parser.parse_args(argv)
    results = read_results(RESULTS)
    outdated = 0
    for document in DOCUMENTS:
        old = document.read_text(encoding="utf-8")
        new = filled(old, results)
        if new == old:
            continue
        outdated += 1
        if options.check:
            print(f"{document.name}: its tables are not those that would be made; run `make tables`", file=sys.stderr)
            sys.stderr.writelines(
                difflib.unified_diff(old.splitlines(True), new.splitlines(True), document.name, "made now", n=0)
            )
            continue
        temporary = document.with_name(f".{document.name}.{os.getpid()}.tmp")
        temporary.write_text(new, encoding="utf-8")
        temporary.replace(document)
    return int(options.check and outdated > 0)


def read_results(directory: Path) -> dict[str, Mapping[str, Any]]:
    """Every recorded result by the name of its file."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.json"))}


def filled(text: str, results: Mapping[str, Mapping[str, Any]]) -> str:
    """The text with every table made anew."""

    def table(found: re.Match[str]) -> str:
        name, columns = found["name"], found["columns"]
        match found["kind"]:
            case "rows":
                made = rows_table(results[name], columns)
            case "spaces":
                made = spaces_table()
            case "spaceoptions":
                made = space_options_table()
            case "config":
                made = config_tables()
            case "options":
                made = options_table(name)
            case "published":
                made = published_table()
            case "summary":
                made = summary_table(results)
            case _:
                made = claims_tables(results)
        return f"{found['start']}{made}{found['end']}"

    return _TABLE.sub(table, text)


def summary_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each benchmark: how many of its figures hold, and those that do not, or where they stand if many."""
    lines = []
    for name, result in results.items():
        claims = result["claims"]
        missed = [claim for claim in claims if not claim["holds"]]
        texts = [f"{claim['name']}: {_found(claim)}, asked for {_asked(claim)}" for claim in missed]
        if len(texts) > _MISSED_SHOWN:
            texts = [f"[{len(texts)} of them](experiments/results/README.md#{name})"]
        counted = f"{len(claims) - len(missed)} of {len(claims)}"
        link = f"[{name}](experiments/results/{name}.json)"
        lines.append([link, _purpose(result), counted, "<br>".join(texts) or "–"])
    return markdown(["Benchmark", "What it shows", "Figures that hold", "Figures that do not"], lines)


def claims_tables(results: Mapping[str, Mapping[str, Any]]) -> str:
    """A part for each result: how it was made, what was asked for, what was found, and whether it holds."""
    return "\n".join(_claims_part(name, result) for name, result in results.items())


def _claims_part(name: str, result: Mapping[str, Any]) -> str:
    environment = result["environment"]
    cores = f"{environment['cores']} core{'s' if environment['cores'] != 1 else ''}"
    made = f"`{result['command']}`, {cores} of {environment['cpu']}, {environment['date']}"
    lines = [
        [claim["name"], _found(claim), _asked(claim), "yes" if claim["holds"] else "**no**"]
        for claim in result["claims"]
    ]
    table = markdown(["Figure", "Found", "Asked for", "Holds"], lines)
    note = f"{environment['note']}\n\n" if "note" in environment else ""
    return f"## [{name}]({name}.json)\n\n{_purpose(result)}\n\n{made}\n\n{note}{table}"


def _found(claim: Mapping[str, Any]) -> str:
    spread = f" ± {claim['spread']:.2g}" if claim.get("spread") is not None else ""
    return f"{number(claim['value'])}{spread} {claim['unit']}".strip()


def _asked(claim: Mapping[str, Any]) -> str:
    sign = "≥" if claim["better"] == "higher" else "≤"
    return f"{sign} {number(claim['target'])} {claim['unit']}".strip()


def _purpose(result: Mapping[str, Any]) -> str:
    """The first line of what a benchmark says of itself; one may have results at several scales."""
    script = BENCHMARKS / f"{result['benchmark']}.py"
    documented = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return documented.partition("\n")[0]


def rows_table(result: Mapping[str, Any], columns: str) -> str:
    """The rows of one result; ``columns`` is ``key=Heading`` separated by commas."""
    pairs = [column.strip().partition("=") for column in columns.split(",")]
    keys, headings = [key for key, _, _ in pairs], [heading or key for key, _, heading in pairs]
    return markdown(headings, [[number(row.get(key)) for key in keys] for row in result["rows"]])


def spaces_table() -> str:
    """Every registered space with its default options: what it is, where it is from, and how large."""
    headings = ["Space", "What it is", "Paper", "Pixels", "Networks", "Smallest", "Largest"]
    return markdown(headings, [_space_row(name) for name in space_names()])


def _space_row(name: str) -> list[str]:
    space = get_space(name)
    ends = [space.lower(arch) for arch in (space.smallest(), space.largest())]
    low, high = (network.input.shape[-1] for network in ends)
    sizes = [f"{_short(macs(network))} MACs, {_short(parameters(network))} weights" for network in ends]
    paper = _PAPER.search(sys.modules[space_module(name)].__doc__ or "")
    size = f"{space.size:,}" if space.size < 1e6 else f"{space.size:.1e}".replace("e+", "e")
    pixels = f"{low}–{high}" if low < high else str(high)
    return [f"`{name}`", describe_space(name), paper[0] if paper else "–", pixels, size, *sizes]


def published_table() -> str:
    """Every published network: its size as counted and as printed."""
    rows = []
    for name in published_names():
        entry = get_published(name)
        network = entry.space.lower(entry.architecture)
        printed = [_printed(count) for count in (entry.publication.macs, entry.publication.parameters)]
        counted = [_short(macs(network)), _short(parameters(network))]
        rows.append([f"`{name}`", entry.publication.source, str(network.input.shape[-1]), *counted, *printed])
    headings = ["Network", "Source", "Pixels", "MACs", "Weights", "MACs as printed", "Weights as printed"]
    return markdown(headings, rows)


def _printed(count: PrintedCount | None) -> str:
    if count is None:
        return "–"
    unit = {1e3: " k", 1e6: " M", 1e9: " G"}.get(count.unit, f" × {count.unit:g}")
    return f"{count.value:.{count.decimals}f}{unit}"


def _short(count: int) -> str:
    """A count to three digits."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1e6:.3g} M" if count < 999.5e6 else f"{count / 1e9:.3g} G"


def number(value: object) -> str:
    """A value as people read it: whole numbers with separators, others with four digits."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main())
