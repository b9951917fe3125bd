"""The benchmark of latency predictors: its block table, its summary, and a quick run with every peer."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_predictors import BlockTablePredictor
from search_spaces import get_space
from search_spaces.layerwise import LayerwiseSpace


@given(values=st.lists(st.floats(-3, 3), min_size=2, max_size=20, unique=True), slope=st.floats(-2, 2))
def test_seconds_keep_the_order_of_what_was_predicted(values: list[float], slope: float) -> None:
    folder = Path(__file__).parents[2] / "experiments" / "benchmarks"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        seconds = importlib.import_module("peers.seconds")
    given_values = np.round(np.sort(np.array(values)), 2)
    positive = seconds.positive(given_values, 0.5)
    assert (positive > 0).all() and (np.diff(positive)[np.diff(given_values) > 0] > 0).all()
    assert (positive[given_values >= 0.5] == given_values[given_values >= 0.5]).all()
    scored = seconds.from_scores(given_values, np.array([0, 1]), np.array([1.0, np.exp(slope)]))
    assert (scored > 0).all() and (np.diff(scored)[np.diff(given_values) > 0] > 0).all()


def test_the_block_table_of_a_published_table_is_the_predictor(benchmarks: Path, small_tables: Path) -> None:
    blocks = importlib.import_module("latency_blocks").load_blocks(small_tables, "fbnet")
    space = get_space("fbnet_32")
    assert isinstance(space, LayerwiseSpace)
    file = np.load(small_tables / "fbnet.npz")
    names = file["op_names"].tolist()
    networks = [space.lower(space.with_candidates(tuple(names[kind] for kind in row))) for row in file["op_idx"]]
    measured, seconds = np.arange(8), np.random.default_rng(0).uniform(0.01, 0.02, 8)
    predictor = BlockTablePredictor().fit(networks[:8], seconds)
    assert blocks.predict(measured, seconds) == pytest.approx(predictor.predict(networks))


def test_a_mean_and_its_spread_are_over_devices_and_seeds(benchmarks: Path) -> None:
    summary = importlib.import_module("latency_summary")
    about = {"protocol": "fbnet all", "method": "ours, chosen", "samples": 10, "kendall": 0.5, "mape": 0.1}
    about |= {"coverage_90": 0.9, "adapt_seconds": 0.1, "unlike_any": False, "fit_seconds": 1.0, "rate": 2e5}
    correlations = {("a", 0): 0.9, ("a", 1): 0.8, ("b", 0): 0.7, ("b", 1): 0.8}
    rows = [
        about | {"device": device, "seed": seed, "spearman": value} for (device, seed), value in correlations.items()
    ]
    mean, first, second = summary.summed_up(rows)
    assert (mean["device"], mean["spearman"], mean["seeds"]) == ("mean", pytest.approx(0.8), 2)
    assert mean["spearman_spread"] == pytest.approx(0)  # what one device loses the other gains
    assert (first["device"], first["spearman"], first["spearman_spread"]) == (
        "a",
        pytest.approx(0.85),
        pytest.approx(0.05),
    )
    assert second["called_unlike"] == 0
    better = [
        {"device": device, "seed": 0, "spearman": 0.99, **other}
        for device in "ab"
        for other in (
            {"protocol": "fbnet all", "method": "HELP", "samples": 10},
            {"protocol": "fbnet all", "method": summary.CEILING, "samples": 10},
        )
    ]
    claims = {claim.name: claim for claim in summary.claims_of(rows + better[::2])}
    assert claims["Spearman, fbnet all, 10 samples"].spread == pytest.approx(0)
    lead = claims["largest lead of any other row over ours (HELP, fbnet all, 10 samples)"]
    assert lead.value == pytest.approx(0.19) and not lead.holds
    assert not claims["correlations and errors asked for that were not run"].holds
    assert summary.claims_of(better) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_quick_run_has_every_peer_and_kept_runs_are_not_run_again(
    benchmarks: Path, data_dir: Path, tmp_path: Path
) -> None:
    def run(*words: str) -> str:
        command = [sys.executable, str(benchmarks / "predictors.py"), *words, "--data", str(data_dir / "latency")]
        done = subprocess.run(
            [*command, "--out", str(tmp_path / "out.json"), "--runs", str(tmp_path / "runs")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return done.stdout

    run("--quick", "--rows", "HELP", "NASFLAT", "blocks", "MACs")
    result = json.loads((tmp_path / "out.json").read_text())
    found = {(row["method"], row.get("samples")) for row in result["rows"] if row["protocol"] == "fbnet trimmed"}
    peers = {(name, count) for name in ("HELP", "NASFLAT-style", "block table") for count in (10, 20)}
    assert peers | {("HELP, told the target's range", 20), ("MACs", 0)} < found
    split = ("--protocols", "F4", "--rows", "MACs", "--seeds", "2")
    assert "F4 MACs seed 0" in run(*split)
    assert "F4 MACs" not in run(*split)
    assert {row["protocol"] for row in json.loads((tmp_path / "out.json").read_text())["rows"]} == {"F4"}
