"""What the benchmark scripts share: result files, and README's tables made from them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def common(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(root / "experiments" / "benchmarks")
    return importlib.import_module("common")


@pytest.fixture
def tables(common: ModuleType) -> ModuleType:
    return importlib.import_module("tables")


def test_a_quick_run_never_writes_over_a_recorded_result(common: ModuleType) -> None:
    assert common.arguments("x/speed.py", "d", argv=[]).out == common.RESULTS / "speed.json"
    assert common.RESULTS not in common.arguments("x/speed.py", "d", argv=["--quick"]).out.parents
    assert common.arguments("x/speed.py", "d", argv=["--quick", "--out", "here.json"]).out == Path("here.json")


def test_a_result_has_everything_that_is_read_from_it(common: ModuleType, tmp_path: Path) -> None:
    options = common.arguments("x/speed.py", "d", argv=["--out", str(tmp_path / "deep" / "speed.json")])
    claims = [
        common.Claim("quick", 4.0, unit="ms", target=20, better="lower"),
        common.Claim("exact", 0.8, unit="", target=0.9, better="higher", seeds=3, spread=0.01),
    ]
    written = json.loads(common.write_results(options, [{"a": 1}], claims).read_text())
    assert set(written) == {"benchmark", "command", "environment", "rows", "claims"}
    assert set(written["environment"]) == {"cpu", "cores", "system", "versions", "commit", "date"}
    assert [claim["holds"] for claim in written["claims"]] == [True, False]
    assert written["claims"][1]["spread"] == 0.01
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["speed.json"]


def test_a_value_that_is_no_number_is_refused_and_the_old_result_kept(common: ModuleType, tmp_path: Path) -> None:
    options = common.arguments("x/speed.py", "d", argv=["--out", str(tmp_path / "speed.json")])
    options.out.write_text("old")
    claim = common.Claim("lost", float("nan"), unit="", target=1, better="higher")
    assert not claim.holds
    with pytest.raises(ValueError, match="JSON"):
        common.write_results(options, [], [claim])
    assert options.out.read_text() == "old"


def test_the_recorded_command_names_no_place_of_this_machine(common: ModuleType, tmp_path: Path) -> None:
    argv = ["--quick", "--out", "x.json", "--data", str(tmp_path / "train.tar.gz")]
    options = common.arguments("x/speed.py", "d", argv=["--quick"])
    command = common.command(options, argv)
    assert command == "python experiments/benchmarks/speed.py --quick --data train.tar.gz"


def test_tables_are_made_from_results_and_only_between_their_marks(tables: ModuleType) -> None:
    claim = {
        "name": "a|b",
        "value": 0.12345,
        "unit": "ms",
        "target": 1,
        "better": "lower",
        "holds": False,
        "spread": 0.5,
    }
    environment = {"cores": 2, "cpu": "Chip", "date": "2026-01-02"}
    rows = [{"name": "x", "macs": 1234567, "lost": None}]
    result = {"benchmark": "demo", "claims": [claim], "command": "python it.py"}
    results = {"demo_small": {**result, "environment": environment, "rows": rows}}
    marks = "<!-- rows demo_small: name=Network, macs=MACs, lost -->\n<!-- end -->\n<!-- summary -->\n<!-- end -->\n"
    text = f"before\n<!-- claims -->\nstale\n<!-- end -->\nmiddle\n{marks}"
    made = tables.filled(text, results)
    assert "| a\\|b | 0.1235 ± 0.5 ms | ≤ 1 ms | **no** |\n" in made
    assert "## [demo_small](demo_small.json)\n\nWhat `make demo` does" in made
    assert "`python it.py`, 2 cores of Chip, 2026-01-02" in made
    assert "| 0 of 1 | a\\|b: 0.1235 ± 0.5 ms, asked for ≤ 1 ms |\n" in made
    assert "| Network | MACs | lost |\n| --- | --- | --- |\n| x | 1,234,567 | – |\n" in made
    assert "stale" not in made
    assert made.startswith("before\n") and "middle\n" in made
    assert tables.filled(made, results) == made


def test_readme_and_the_guide_show_what_is_recorded_and_registered(root: Path) -> None:
    """In a process of its own: other tests register what no user has."""
    command = [sys.executable, "experiments/benchmarks/tables.py", "--check"]
    checked = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert checked.returncode == 0, checked.stderr


def test_every_key_of_a_config_is_in_the_guide(common: ModuleType, root: Path) -> None:
    """With its section; what is not documented is refused rather than left empty."""
    made = importlib.import_module("config_tables")
    text = made.config_tables()
    assert "| `seed` | whole number, at least 0," in text
    assert "## `pools.units`\n" in text and "[`units`](#poolsunits)" in text
    assert "| `weight_decay` | number | `0.00003` | of convolution and linear weights;" in text
    assert "`visit`" not in text
    (root / "docs" / "guide" / "config.md").read_text(encoding="utf-8").index(text)

    @dataclass
    class Silent:
        """Says nothing of its keys."""

        loud: int = 1

    with pytest.raises(ValueError, match=r"Silent\.loud is not documented"):
        made._keys(made.Part("silent", Silent, many=False))


def test_every_recorded_result_has_the_agreed_form(root: Path) -> None:
    for path in (root / "experiments" / "results").glob("*.json"):
        result = json.loads(path.read_text())
        assert {"benchmark", "command", "environment", "rows", "claims"} <= set(result), path.name
        for claim in result["claims"]:
            assert set(claim) == {"name", "value", "unit", "target", "better", "holds", "seeds", "spread"}, path.name
            reached = (
                claim["value"] >= claim["target"] if claim["better"] == "higher" else claim["value"] <= claim["target"]
            )
            assert claim["holds"] == reached, f"{path.name}: {claim['name']}"
