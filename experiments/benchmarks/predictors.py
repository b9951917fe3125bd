"""Latency of unseen devices after 0 to 50 measurements: ours, a mix of known devices, MACs, and what papers print.

Every measurement on the target counts. Design choices of ours were made on devices that are in no protocol's test set.
Peers are in ``peers``; what their papers print stands beside them. Runs are kept in a folder, one file for each family
of protocols, row and seed, and are not run again; the table is made of all that are there. So a long benchmark can be
interrupted, or split into processes with ``--protocols``, ``--rows`` and ``--seeds``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import QUICK_RESULTS, ROOT, Options, arguments, environment, write_json, write_results
from latency_cases import Case, Row, cases
from latency_methods import METHODS
from latency_summary import claims_of, summed_up


def run(case: Case, name: str, seed: int, path: Path) -> None:
    """Run one row with one seed and keep what it gave."""
    rows = list(METHODS[name].rows(case, seed))
    write_json(path, {"commit": environment()["commit"], "rows": rows})
    print(case.name, name, f"seed {seed}:", _shown(rows), flush=True)


def parts(
    wanted: Sequence[Case], names: Sequence[str], seeds: int, folder: Path
) -> Iterator[tuple[Case, str, int, Path]]:
    """Everything to be run, with the file that it is kept in: all rows of the first seed first."""
    for case in wanted:
        for seed in range(seeds):
            for name in names:
                if METHODS[name].seeded or seed == 0:
                    yield case, name, seed, folder / f"{case.name}.{name}.{seed}.json"


def collect(options: Options, files: Sequence[Path]) -> None:
    """Write the table and the claims of runs that were kept."""
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    rows: list[Row] = [row for part in kept for row in part["rows"]]
    about: dict[str, Any] = {"commits_of_runs": sorted({str(part["commit"]) for part in kept})}
    run_at_all = {path.stem.rsplit(".", 2)[1] for path in files}
    if missing := [name for name in METHODS if name not in run_at_all]:
        about["note"] = f"Rows of the table that were not run: {', '.join(missing)}."
    write_results(options, summed_up(rows), claims_of(rows), extra_environment=about)


def default_data() -> Path:
    """Where the tables are looked for."""
    return Path(os.environ.get("HWNAS_DATA", ROOT.parent / "shared" / "data")) / "latency"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=default_data(), help="folder of the published tables")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--protocols", nargs="*", default=[], help="only these protocols or families (default: all)")
    parser.add_argument("--rows", nargs="*", default=list(METHODS), choices=list(METHODS), help="default: all")
    parser.add_argument("--runs", type=Path, default=QUICK_RESULTS / "predictors", help="folder that runs are kept in")
    options = arguments(__file__, (__doc__ or "").partition("\n")[0], parser)
    chosen: Any = options.extra
    if not (chosen.data / "device_splits.json").is_file():
        print(f"skipped: {chosen.data.name} holds no tables; give their folder with --data or HWNAS_DATA")
        return
    wanted, seeds, folder = chosen.protocols, chosen.seeds, chosen.runs
    if options.quick:
        wanted, seeds, folder = wanted or ["fbnet"], 1, folder / "quick"
    todo = list(parts(list(cases(chosen.data, wanted, quick=options.quick)), chosen.rows, seeds, folder))
    for case, name, seed, path in todo:
        if options.quick or not path.is_file():
            run(case, name, seed, path)
    collect(options, [path for *_, path in todo] if options.quick else sorted(folder.glob("*.json")))


def _shown(rows: Sequence[Row]) -> str:
    """Mean correlations by method and count."""
    cells: dict[str, list[float]] = {}
    for row in rows:
        cells.setdefault(f"{row['method']} {row['samples']}", []).append(row["spearman"])
    return ", ".join(f"{cell}: {np.mean(values):.3f}" for cell, values in cells.items())


if __name__ == "__main__":
    main()
