"""YAML text: what the parser trips over, what is nested without end, and aliases that stand for too much."""

from __future__ import annotations

import pytest

from nas.config import parse_yaml
from nas.errors import NasError


@pytest.mark.parametrize(
    "text",
    [
        "seed: 2025-99-99",
        "seed: !!float abc",
        "seed: !!int abc",
        "seed: !!timestamp abc",
        "seed: " + "9" * 5000,
        "[" * 2000,
        "{a: " * 2000,
        "a: &a {x: 1}\n<<: *a",
    ],
    ids=lambda text: text[:20],
)
def test_what_the_yaml_parser_trips_over_is_told(text: str) -> None:
    with pytest.raises(NasError, match="not valid YAML"):
        parse_yaml(text, "config")


LOOP = "export: &e {count: *e}"


@pytest.mark.parametrize("text", [LOOP, "a: &a [[*a]]", "a: &a !!omap [x: *a]", "a: " + "[" * 150 + "]" * 150])
def test_what_is_nested_without_end_is_told(text: str) -> None:
    with pytest.raises(NasError, match=r"config is nested more than 100 deep, .* an alias .*; write the values out"):
        parse_yaml(text, "config")


def laughs(levels: int, first: str, more: str) -> str:
    """YAML in which every level stands for two of the level before."""
    rows = [f"a{i}: &a{i} {more.format(f'*a{i - 1}')}" for i in range(1, levels)]
    return "\n".join([f"a0: &a0 {first}", *rows])


@pytest.mark.parametrize(
    "text",
    [
        laughs(90, "[ha, ha]", "[{0}, {0}]"),
        laughs(90, "{x: ha}", "{{x: {0}, y: {0}}}"),
        laughs(40, "{? [ha] : ha}", "{{? {0} : {0}}}"),
        laughs(40, "!!omap [x: ha]", "!!omap [x: {0}, y: {0}]"),
        f"a: &a {'ha' * 60_000}\nb: [{'*a, ' * 100}]",
    ],
)
def test_aliases_that_stand_for_more_than_anybody_means_are_told(text: str) -> None:
    with pytest.raises(NasError, match=r"config holds more than 100000 values, or 10000000 characters, with"):
        parse_yaml(text, "config")


def test_a_number_beyond_every_float_is_told() -> None:
    with pytest.raises(NasError, match="config is not valid YAML: int too large"):
        parse_yaml(f"a: 1{':1' * 200}.5", "config")


def test_an_alias_may_be_used_where_it_is_none_of_itself() -> None:
    assert parse_yaml("a: &a {x: [1]}\nb: [*a, *a]", "config") == {"a": {"x": [1]}, "b": [{"x": [1]}] * 2}
