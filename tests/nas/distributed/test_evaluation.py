"""Evaluation by processes of a real Ray cluster, some of which are killed, against evaluation in this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import numpy as np
import pytest
from ray import cloudpickle
from ray.cluster_utils import Cluster

from nas.config import Config, make_config
from nas.distributed import evaluation
from nas.distributed.evaluation import Evaluators, evaluating
from nas.errors import NasError
from nas.files import write_json
from nas.pipeline import prepare
from nas.progress import Silent
from nas.run_directory import RunDirectory
from nas.stages.context import Context
from search_spaces import Architecture, SpaceError
from supernet import Supernet
from supernet.checkpoint import save_weights, weights_digest

SPACE = {"widths": [0.5], "depths": [1, 2], "kernels": [3, 5], "expansions": [2, 3], "resolutions": [8]}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # on a busy machine Ray takes minutes to begin its processes
    pytest.mark.skipif(os.name != "posix", reason="kills processes by signal"),
]

Found = dict[Architecture, float]
AddMachine = Callable[..., Callable[[], None]]


class Notes(Silent):
    """Keeps what a person would read."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


Surroundings = Callable[[int], tuple[Context, Notes]]


class Dying:
    """In the place of ``EvaluatingProcess``: survives no network."""

    def __init__(self, supplies: object) -> None:
        pass

    def ready(self) -> None:
        pass

    def accuracy(self, arch: Architecture) -> float:
        os._exit(1)


def config(evaluators: int) -> Config:
    return make_config(
        {
            "threads": 1,
            "evaluators": evaluators,
            "space": {"name": "mobilenetv3_32", "options": SPACE},
            "data": {"source": "digits", "size": 8, "limit": 200},
            "split": {"validation": 0.4, "test": 0.2, "calibration": 32},
            "targets": [{"name": "chip", "device": "fake"}],
        }
    )


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    """A run with so many evaluators, whose weights are as they were drawn; and what a person would read."""
    path = tmp_path_factory.mktemp("runs") / "run"
    run = prepare(config(1), path)
    (path / "train").mkdir()
    save_weights(path / "train", Supernet(run.config.make_space()).shared.state_dict())
    write_json(run.result("train"), {"weights_sha256": weights_digest(path / "train")})

    def make(evaluators: int) -> tuple[Context, Notes]:
        notes = Notes()
        return Context(RunDirectory.create(path, config(evaluators)), notes), notes

    return make


@pytest.fixture(scope="module")
def archs() -> list[Architecture]:
    space = config(1).make_space()
    return space.architectures(space.sample_indices(np.random.default_rng(0), 12))


@pytest.fixture(scope="module")
def expected(surroundings: Surroundings, archs: list[Architecture]) -> Found:
    with evaluating(surroundings(1)[0]) as accuracies:
        found = dict(accuracies(archs))
    assert len(set(found.values())) > 3
    return found


# First, for machines that left are counted for a while.
def test_a_cluster_too_small_is_told_at_once(cluster: Cluster, surroundings: Surroundings) -> None:
    with pytest.raises(NasError, match=r"2 evaluators need 1 CPU each, .* has 1 in all; lower evaluators or search"):
        Evaluators(surroundings(2)[0])


def test_a_network_that_no_process_survives_is_named(
    cluster: Cluster, surroundings: Surroundings, archs: list[Architecture], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes cannot import this file
    monkeypatch.setattr(evaluation, "EvaluatingProcess", Dying)
    context, notes = surroundings(1)
    with pytest.raises(NasError, match=f"3 processes were lost while they evaluated network {archs[0].key}"):
        list(Evaluators(context)(archs[:1]))
    assert len(notes.notes) == 3


def test_several_processes_find_what_one_finds(
    add_machine: AddMachine, surroundings: Surroundings, archs: list[Architecture], expected: Found
) -> None:
    add_machine()
    context, notes = surroundings(2)
    strange = Architecture("another", (0,))
    with pytest.raises(SpaceError) as here, evaluating(surroundings(1)[0]) as accuracies:
        list(accuracies([strange]))
    with evaluating(context) as accuracies:
        assert dict(accuracies(archs)) == expected
        assert dict(accuracies(archs[:3])) == {arch: expected[arch] for arch in archs[:3]}
        with pytest.raises(SpaceError) as there:
            list(accuracies([archs[0], strange]))
    assert str(there.value) == str(here.value)
    assert notes.notes == []


def test_what_a_process_and_a_machine_that_die_were_at_goes_to_another(
    add_machine: AddMachine,
    kill_process: Callable[[str], bool],
    surroundings: Surroundings,
    archs: list[Architecture],
    expected: Found,
) -> None:
    kill_machine = add_machine()
    context, notes = surroundings(2)
    found: list[tuple[Architecture, float]] = []
    with evaluating(context) as accuracies:
        for each in accuracies(archs):
            if not found:
                assert kill_process("EvaluatingProcess")
            if len(found) == len(archs) // 2:
                kill_machine()
            found.append(each)
    # One processor was left in the end.
    assert len(found) == len(archs) and dict(found) == expected
    assert notes.notes and all("an evaluator was lost" in note for note in notes.notes)
