"""Every training strategy by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from search_spaces.nearest import nearest
from supernet.errors import SupernetError
from supernet.strategies.base import SHARED_SETTINGS, Strategy

if TYPE_CHECKING:
    from supernet.settings import TrainSettings

_Class = TypeVar("_Class", bound=type)
_STRATEGIES: dict[str, Callable[..., Strategy]] = {}


def register_strategy(name: str) -> Callable[[_Class], _Class]:
    """Decorator: the frozen dataclass under it, called with the options, is the strategy of this name."""

    def add(strategy: _Class) -> _Class:
        if name in _STRATEGIES:
            raise SupernetError(f"a training strategy named {name!r} is registered already; choose another name")
        _STRATEGIES[name] = strategy
        return strategy

    return add


def strategy_names() -> list[str]:
    """Names that ``get_strategy`` knows."""
    return sorted(_STRATEGIES)


def describe_strategy(name: str) -> str:
    """One line about a strategy."""
    return (_find(name).__doc__ or "").strip().split("\n")[0]


def get_strategy(name: str, options: Mapping[str, Any] | None = None) -> Strategy:
    """Make a strategy.

    Args:
        name: one of ``strategy_names()``.
        options: its own settings.

    Raises:
        SupernetError: an unknown name, or options that the strategy does not have or cannot use.
    """
    strategy = _find(name)
    known = [field.name for field in dataclasses.fields(strategy)]  # type: ignore[arg-type]
    for option in options or {}:
        if option not in known:
            told = f"train.options.{option}: strategy {name!r} has no such option"
            raise SupernetError(f"{told}{nearest(option, known)}")
    return strategy(**(options or {}))


def strategy_of(settings: TrainSettings) -> Strategy:
    """The strategy that settings ask for.

    Raises:
        SupernetError: see ``get_strategy``; or a setting that this strategy has no use for was changed.
    """
    strategy = get_strategy(settings.strategy, settings.options)
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    for name in SHARED_SETTINGS:
        value = getattr(settings, name)
        if name not in strategy.uses and value != defaults[name]:
            raise SupernetError(
                f"train.{name} is {value!r}, but strategy {settings.strategy!r} has no use for it; leave it out"
            )
    return strategy


def _find(name: str) -> Callable[..., Strategy]:
    if name not in _STRATEGIES:
        raise SupernetError(f"train.strategy is {name!r}{nearest(name, strategy_names())}")
    return _STRATEGIES[name]
