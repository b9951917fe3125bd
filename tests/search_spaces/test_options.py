from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from search_spaces import get_space, space_names
from search_spaces.nearest import nearest
from search_spaces.options import option_problem


def options_of_all_kinds(
    count: int = 10,
    *,
    sizes: Sequence[int] = (16, 24, 32),
    ratios: tuple[float, ...] = (),
    share: float | None = None,
    gate: bool = True,
    name: str | None = None,
    anything: Any = None,
) -> None:
    pass


class Searching:
    def __init__(self, first: object, *, population: int = 100) -> None:
        pass


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cout": 3}, "a.options.cout: thing has no such option; did you mean 'count'? Allowed: anything, count"),
        ({"x": 3}, "a.options.x: thing has no such option; allowed: anything, count"),
        ({"count": "3"}, "a.options.count is '3'; give a whole number, such as 10"),
        ({"count": True}, "a.options.count is True; give a whole number"),
        ({"count": None}, "a.options.count is None; give a whole number"),
        ({"sizes": 32}, "a.options.sizes is 32; give a list of whole numbers, such as [16, 24, 32]"),
        ({"sizes": ["32px"]}, "a.options.sizes is ['32px']; give a list of whole numbers"),
        ({"sizes": "32"}, "give a list of whole numbers"),
        ({"ratios": [1, "2"]}, "a.options.ratios is [1, '2']; give a list of numbers"),
        ({"share": "half"}, "a.options.share is 'half'; give a number"),
        ({"gate": 1}, "a.options.gate is 1; give true or false"),
        ({"name": 5}, "a.options.name is 5; give a text"),
        ({"count": 3, "sizes": [8], "ratios": (1, 0.5), "share": 1, "gate": False, "name": "n", "anything": {}}, None),
        ({"share": None, "name": None}, None),
        ({}, None),
    ],
)
def test_an_option_is_one_of_the_factorys_and_of_its_type(given: dict[str, Any], told: str | None) -> None:
    problem = option_problem("a.options", "thing", options_of_all_kinds, given)
    assert problem is None if told is None else told in str(problem)


def test_what_comes_before_the_options_is_none() -> None:
    told = option_problem("o", "it", Searching, {"first": 1}, given_first=1)
    assert told == "o.first: it has no such option; allowed: population"
    assert option_problem("o", "it", Searching, {"population": 8}, given_first=1) is None


def test_a_factory_that_checks_its_options_itself_is_left_to() -> None:
    def takes_all(**options: object) -> None:
        pass

    assert option_problem("o", "it", takes_all, {"x": 1}) is None


def test_annotations_that_cannot_be_resolved_are_not_looked_into() -> None:
    def own(size: Unknown = 3) -> None:  # type: ignore[name-defined] # noqa: F821
        pass

    factory: Callable[..., Any] = own
    assert option_problem("o", "it", factory, {"size": "x"}) is None
    assert (
        option_problem("o", "it", factory, {"sise": 3})
        == "o.sise: it has no such option; did you mean 'size'? Allowed: size"
    )


@pytest.mark.parametrize("name", space_names())
def test_every_space_tells_an_option_that_it_does_not_have(name: str) -> None:
    with pytest.raises(ValueError, match=r"clases.*; did you mean 'classes'"):
        get_space(name, {"clases": 2})


def test_the_nearest_name_is_told() -> None:
    assert nearest("fak", ["other", "fake"]) == "; did you mean 'fake'? Allowed: fake, other"
    assert nearest("xyz", ["b", "a"]) == "; allowed: a, b"
    assert nearest("xyz", []) == "; allowed: none"
