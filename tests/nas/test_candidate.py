"""Metrics and candidates."""

from __future__ import annotations

import json
import pickle

import pytest

from nas.candidate import Candidate, Metric, describe_value, latency_metric, metric_names, metric_unit
from nas.errors import NasError
from search_spaces import Architecture

CANDIDATE = Candidate(
    Architecture("toy", (0, 2)),
    {"accuracy": Metric(0.5, "1", "evaluated"), "latency_s.a": Metric(0.02, "s", "predicted", (0.01, 0.03))},
)


def test_candidate_survives_json_and_pickle() -> None:
    assert Candidate.from_json(json.loads(json.dumps(CANDIDATE.to_json()))) == CANDIDATE
    assert pickle.loads(pickle.dumps(CANDIDATE)) == CANDIDATE  # noqa: S301 (our own bytes)
    assert hash(CANDIDATE) == hash(Candidate(CANDIDATE.arch, CANDIDATE.metrics))


def test_metrics_cannot_be_changed_from_outside() -> None:
    metrics = dict(CANDIDATE.metrics)
    candidate = Candidate(CANDIDATE.arch, metrics)
    metrics.clear()
    assert candidate.value("accuracy") == 0.5


def test_missing_metric_says_what_there_is() -> None:
    with pytest.raises(NasError, match=r"no metric 'macs'; it has \['accuracy', 'latency_s.a'\]"):
        CANDIDATE.value("macs")


@pytest.mark.parametrize("row", [{}, {"space": "toy", "choices": [0], "metrics": {"macs": {"value": 1}}}, {"space": 1}])
def test_broken_rows_are_refused(row: dict[str, object]) -> None:
    with pytest.raises(NasError, match="it needs"):
        Candidate.from_json(row)


def test_unknown_source_is_refused() -> None:
    with pytest.raises(NasError, match="'guessed' was given; allowed"):
        Metric(1.0, "s", "guessed")  # type: ignore[arg-type]


def test_every_metric_has_a_unit_and_a_form_for_people() -> None:
    assert [metric_unit(name) for name in metric_names(["phone"])] == ["1", "MACs", "parameters", "B", "B", "s"]
    assert describe_value(latency_metric("phone"), 0.0141) == "14.1 ms"
    assert describe_value("accuracy", 0.881) == "88.10%"
    assert describe_value("flash_bytes", 2_500_000) == "2500 kB"
    assert describe_value("macs", 39e6) == "39 M MACs"
    with pytest.raises(NasError, match="there is no metric 'speed'"):
        metric_unit("speed")
