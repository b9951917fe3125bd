"""The history of a search survives being cut off anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas.candidate import Candidate, Metric
from nas.config import Config, make_config
from nas.errors import NasError
from nas.search import Searcher
from nas.stages.history import History, make_searcher
from search_spaces import Architecture


@pytest.fixture(scope="module")
def config() -> Config:
    return make_config(
        {
            "space": {"name": "mobilenetv3_32"},
            "data": {"source": "digits"},
            "targets": [{"name": "chip", "device": "fake"}],
            "objectives": [
                {"metric": "macs", "direction": "minimize"},
                {"metric": "accuracy", "direction": "maximize"},
            ],
            "search": {"options": {"population": 4}},
        }
    )


def searcher(config: Config, judged_by: str = "weights") -> Searcher:
    return make_searcher(config, np.random.default_rng(0), judged_by=[judged_by])


def stored(config: Config, storage: Path) -> Config:
    options = {"storage": f"sqlite:///{storage}", "study": "a"}
    section = config.search.model_copy(update={"strategy": "optuna", "options": options})
    return config.model_copy(update={"search": section})


def judge(arch: Architecture) -> Candidate:
    cost = float(sum(arch.choices))
    return Candidate(arch, {"macs": Metric(cost, "MACs", "counted"), "accuracy": Metric(cost / 100, "1", "evaluated")})


def search(config: Config, folder: Path, batches: int) -> list[Candidate]:
    history, proposer = History(folder), searcher(config)
    judged = history.resume(proposer)
    while len(judged) < 4 * batches:
        batch = [judge(arch) for arch in proposer.ask(4)]
        proposer.tell(batch)
        history.append(batch, proposer.state())
        judged += batch
    return judged


def test_a_search_in_two_parts_is_the_same_search(config: Config, tmp_path: Path) -> None:
    whole = search(config, tmp_path / "whole", 5)
    search(config, tmp_path / "parts", 2)
    assert search(config, tmp_path / "parts", 5) == whole
    rows = "candidates.jsonl"
    assert (tmp_path / "parts" / rows).read_bytes() == (tmp_path / "whole" / rows).read_bytes()


def test_a_batch_without_its_state_is_judged_again(config: Config, tmp_path: Path) -> None:
    whole = search(config, tmp_path / "whole", 3)
    search(config, tmp_path / "cut", 2)
    with (tmp_path / "cut" / "candidates.jsonl").open("a") as stream:
        stream.write('{"torn')
    assert search(config, tmp_path / "cut", 3) == whole


def test_rows_without_any_state_are_dropped(config: Config, tmp_path: Path) -> None:
    search(config, tmp_path, 1)
    (tmp_path / "state.json").unlink()
    assert History(tmp_path).resume(searcher(config)) == []
    assert not (tmp_path / "candidates.jsonl").exists()


def test_rows_that_are_missing_are_told(config: Config, tmp_path: Path) -> None:
    search(config, tmp_path, 1)
    (tmp_path / "candidates.jsonl").write_text("")
    with pytest.raises(NasError, match="nas search"):
        History(tmp_path).resume(searcher(config))


@pytest.mark.parametrize("killed", ["before the first is told", "before the first batch is kept"])
def test_a_study_in_a_storage_goes_on_from_a_kill_in_the_first_batch(
    killed: str, config: Config, tmp_path: Path
) -> None:
    on_disk = stored(config, tmp_path / "study.sqlite")
    first = searcher(on_disk)
    assert History(tmp_path / "search").resume(first) == []
    asked = first.ask(4)
    if killed == "before the first batch is kept":
        first.tell([judge(arch) for arch in asked])
    second = searcher(on_disk)
    assert History(tmp_path / "search").resume(second) == []
    assert second.ask(4) == asked
    assert not set(second.ask(4)) & set(asked)


def test_a_search_from_the_start_asks_again_for_what_a_study_in_a_storage_knows(config: Config, tmp_path: Path) -> None:
    on_disk = stored(config, tmp_path / "study.sqlite")
    whole = search(on_disk, tmp_path / "first", 2)
    again = search(on_disk, tmp_path / "second", 3)
    assert again[:8] == whole
    assert len({candidate.arch for candidate in again}) == 12
    with pytest.raises(NasError, match="belongs to another search"):
        searcher(on_disk, judged_by="other weights")


def test_a_study_that_is_not_there_is_told(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    search(stored(config, Path("study.sqlite")), tmp_path / "search", 1)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(NasError, match="lacks results that it was told; see whether its storage is elsewhere"):
        search(stored(config, Path("study.sqlite")), tmp_path / "search", 2)


def test_a_state_that_cannot_be_restored_is_named(config: Config, tmp_path: Path) -> None:
    search(config, tmp_path, 1)
    state = tmp_path / "state.json"
    values = json.loads(state.read_text())
    for part in values["searcher"]:
        for broken in ({k: v for k, v in values["searcher"].items() if k != part}, {**values["searcher"], part: 5}):
            state.write_text(json.dumps({**values, "searcher": broken}))
            with pytest.raises(NasError, match=r"state\.json"):
                History(tmp_path).resume(searcher(config))
