"""A damaged file in a run directory is one message that names it, whatever the damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas import load_config, run
from nas.cli.app import app
from nas.errors import NasError
from nas.files import read_json, reading
from nas.run_directory import STAGES, RunDirectory

FAKE = Path(__file__).parents[2] / "experiments" / "configs" / "digits_fake.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    small = ["profile.networks=6", "predictor={folds: 3, min_spearman: -1, max_mape: 9}", "search.evaluations=20"]
    config = load_config(FAKE, overrides=[*small, "confirm.members=2"])
    yield run(config, tmp_path_factory.mktemp("damage") / "run").path


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def undo(run_dir: Path, stage: str) -> None:
    """Make a stage and the later ones look unfinished."""
    for name in STAGES[STAGES.index(stage) : -1]:
        RunDirectory(run_dir).result(name).unlink()


def damages(content: bytes, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Ways in which a file may be damaged, in words, and what it holds then."""
    for wrong in (b"null", b"[]", b"{}", b'"x"', content[:-10]):
        yield f"holds {wrong[:10]!r}", wrong
    values = json.loads(content)
    for key in keys:
        yield f"lacks {key}", json.dumps({name: value for name, value in values.items() if name != key}).encode()
        other = 5 if isinstance(values[key], str) else "x"
        yield f"{key} is of another kind", json.dumps({**values, key: other}).encode()


READERS = [
    ("train", "train/checkpoint.json", "step identity file sha256"),
    ("train", "split.json", "version data_digest train validation test calibration"),
    ("profile", "profile/plan.json", "networks order"),
    ("fit", "profile/measurements.json", "rows"),
    ("search", "predictors/scores.json", "targets"),
    ("search", "predictors/slow-chip/predictor.json", "version predictor options features arrays_sha256 values"),
    ("search", "train/result.json", "weights_sha256"),
    ("search", "search/state.json", "bytes searcher"),
    ("confirm", "search/front.json", "objectives limits members"),
    ("confirm", "confirm/members/*.json", "files"),
    ("export", "preprocessing.json", "mean std stored_size colour value_scale stored_resize input_resize"),
    ("export", "confirm/front.json", "members"),
    ("status", "export/index.json", "members"),
    ("status", "export/*/card.json", "accuracy latency macs"),
    ("report", "split.json", "data_digest train validation test calibration"),
    ("report", "train/result.json", "weights_sha256"),
    ("report", "profile/measurements.json", "targets rows"),
    ("report", "predictors/scores.json", "targets"),
    ("report", "confirm/front.json", "targets members dominated dropped"),
    ("report", "confirm/rounds/1/round.json", "round judged refitted members compared contradicted entered"),
    ("report", "export/*/card.json", "key name files accuracy versions"),
]
"""Commands, a file that each reads, and the keys that it needs there."""


@pytest.mark.slow
@pytest.mark.parametrize(("command", "name", "keys"), READERS)
def test_a_damaged_file_is_one_message_that_names_it(copy: Path, command: str, name: str, keys: str) -> None:
    if command in STAGES[:-1]:
        undo(copy, command)
    damaged = sorted(copy.glob(name))[0]
    for how, content in damages(damaged.read_bytes(), keys.split()):
        damaged.write_bytes(content)
        result = CliRunner().invoke(app, [command, str(copy)])
        assert isinstance(result.exception, SystemExit), (how, result.exception)
        assert result.exit_code == 2, how
        assert result.stderr.count("error: ") == 1, (how, result.stderr)
        assert damaged.name in result.stderr or str(damaged.parent) in result.stderr, (how, result.stderr)
        assert damaged.read_bytes() == content, how


@pytest.mark.parametrize("shift", [-10, 10**9, -(10**9)])
def test_a_search_state_that_counts_wrong_is_told_and_nothing_is_cut(copy: Path, shift: int) -> None:
    undo(copy, "search")
    path, rows = copy / "search" / "state.json", copy / "search" / "candidates.jsonl"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "bytes": state["bytes"] + shift}))
    before = rows.read_bytes()
    result = CliRunner().invoke(app, ["search", str(copy)])
    assert result.exit_code == 2
    assert str(rows) in result.stderr
    assert rows.read_bytes() == before


@pytest.mark.parametrize("stage", ["profile", "search", "confirm"])
def test_other_weights_than_those_that_were_trained_are_told(copy: Path, stage: str) -> None:
    undo(copy, stage)
    weights = copy / "train" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1  # still a number, which the file format cannot tell from the right one
    weights.write_bytes(content)
    result = CliRunner().invoke(app, [stage, str(copy)])
    assert result.exit_code == 2
    assert "tells of other weights" in result.stderr


def test_what_a_message_says_to_delete_is_made_again(copy: Path) -> None:
    undo(copy, "search")
    needed = [copy / "train" / "weights.safetensors", copy / "predictors" / "slow-chip" / "predictor.json"]
    before = [path.read_bytes() for path in needed]
    for path in needed:
        path.unlink()
    for stage in ("train", "fit"):
        result = CliRunner().invoke(app, [stage, str(copy)])
        assert result.exit_code == 0, result.stderr
    assert [path.read_bytes() for path in needed] == before


def test_model_files_that_are_not_whole_are_made_again(copy: Path) -> None:
    exported = {path: path.read_bytes() for path in copy.glob("export/*/*")}
    shutil.rmtree(copy / "export")
    first, *_, last = sorted(path.parent for path in copy.glob("confirm/models/*/artifacts.json"))
    (first / "weights.safetensors").write_bytes(b"others")
    listed = json.loads((last / "artifacts.json").read_text())
    listed["files"][0]["file"] = f"../{last.name}/{listed['files'][0]['file']}"
    (last / "artifacts.json").write_text(json.dumps(listed))
    result = CliRunner().invoke(app, ["export", str(copy)])
    assert result.exit_code == 0, result.stderr
    assert {path: path.read_bytes() for path in copy.glob("export/*/*")} == exported


def test_a_folder_that_was_exported_before_is_made_again_unless_it_is_whole(copy: Path) -> None:
    folders = sorted(path.parent for path in copy.glob("export/*/card.json"))
    before = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    undo(copy, "export")
    (folders[0] / "card.json").write_text("{}")
    (folders[-1] / "model.onnx").write_bytes(b"another")
    result = CliRunner().invoke(app, ["export", str(copy)])
    assert result.exit_code == 0, result.stderr
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("content", [b"\xff", b"", b"[" * 100_000, b"9" * 5000, b"Infinity"])
def test_what_json_cannot_hold_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(NasError, match=r"a\.json"), reading(path):
        int(read_json(path))


def test_lines_nested_without_end_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with pytest.raises(NasError, match=r"rows\.jsonl"), reading(path):
        json.loads("[" * 100_000)
