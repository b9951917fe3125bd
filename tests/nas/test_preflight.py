"""What is found out before hours of training: devices, options, databases, spaces that are too small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.config import make_config
from nas.errors import NasError
from nas.preflight import check, notes

OPTUNA = {"strategy": "optuna"}


def values(**changes: Any) -> dict[str, Any]:
    options = {"resolutions": [8], "widths": [0.5], "kernels": [3, 5], "expansions": [2, 3], "depths": [1]}
    return {
        "space": {"name": "mobilenetv3_32", "options": options},
        "data": {"source": "digits"},
        "targets": [{"name": "chip", "device": "fake"}],
        **changes,
    }


def refused(given: dict[str, Any]) -> str:
    with pytest.raises(NasError) as caught:
        check(make_config(given))
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"population": 10.5}, ["population is 10.5", "whole number"]),
        ({"population": float("nan")}, ["population is nan"]),
        ({"popsize": 3}, ["popsize"]),
    ],
)
def test_options_of_the_searcher_are_tried(options: dict[str, Any], words: list[str]) -> None:
    message = refused(values(search={"options": options}))
    assert "search.options" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "nsga"}, ["no sampler 'nsga'", "nsgaii"]),
        ({"sampler_options": {"population": 3}}, ["population"]),
        ({"sampler_options": {"population_size": 1}}, ["population_size"]),
        ({"storage": "sqlite://"}, ["give the study's name"]),
        ({"storage": 5, "study": "a"}, ["storage is 5"]),
        ({"storage": "search.sqlite", "study": "a"}, ["storage"]),
        ({"storage": "sqlite:////no/such/folder/a.sqlite", "study": "a"}, ["storage", "unable to open"]),
        ({"storage": "sqlite://", "study": "a", "sampler": "nsga"}, ["no sampler 'nsga'"]),
        ({"shared": True}, ["shared is true", "give storage and study"]),
        ({"storage": "sqlite://", "study": "a", "shared": "yes"}, ["shared is 'yes'", "true or false"]),
    ],
)
def test_options_of_optuna_are_tried_also_where_there_is_a_storage(options: dict[str, Any], words: list[str]) -> None:
    message = refused(values(search={**OPTUNA, "options": options}))
    for word in words:
        assert word in message


def test_a_study_in_a_storage_does_not_begin_before_the_search(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    url = f"sqlite:///{tmp_path / 'search.sqlite'}"
    for shared in (False, True):
        options = {"storage": url, "study": "a", "shared": shared}
        check(make_config(values(search={**OPTUNA, "options": options})))
    assert optuna.get_all_study_names(url) == []


@pytest.mark.parametrize("option", [{"seed": 0.5}, {"seed": True}, {"noise": True}, {"macs_per_s": "fast"}])
def test_options_of_a_device_are_tried(option: dict[str, Any]) -> None:
    message = refused(values(targets=[{"name": "chip", "device": "fake", "options": option}]))
    assert f"targets.0.options.{next(iter(option))} is {next(iter(option.values()))!r}; give a" in message


def test_a_latency_limit_that_was_meant_in_milliseconds_is_told() -> None:
    limits = [{"metric": "latency_s.chip", "at_most": 20}, {"metric": "macs", "at_most": 1e9}]
    assert notes(make_config(values(limits=limits))) == [
        "limits on latency_s are in seconds: latency_s.chip at_most 20 is 20,000 ms"
    ]
    assert notes(make_config(values(limits=[{"metric": "latency_s.chip", "at_most": 1}]))) == []


@pytest.mark.parametrize("url", ["ledger.sqlite", "sqlite:////no/such/folder/a.sqlite"])
def test_a_ledger_that_cannot_be_opened_is_told(url: str) -> None:
    assert "ledger" in refused(values(ledger=url))


def test_a_space_too_small_to_check_a_predictor_on_is_told() -> None:
    given = values()
    given["space"]["options"] |= {"kernels": [3], "expansions": [3], "widths": [0.5, 0.75]}
    message = refused(given)
    assert "has 2 networks" in message
    assert "6 at least" in message
