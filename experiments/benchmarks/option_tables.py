"""The tables of what a config may name and of the options of each, made from docstrings and signatures."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping

from common import markdown
from config_tables import documented, plain_text, shown

from devices import describe_device, device_names, get_device
from latency_predictors import describe_predictor, predictor_names
from nas.search import describe_searcher, searcher_factory, searcher_names
from search_spaces import space_module, space_names
from supernet.strategies import describe_strategy, get_strategy, strategy_names

# What a search gives its searcher itself.
_OF_THE_RUN = {"judged_by"}


def options_table(kind: str) -> str:
    """Every strategy of a search or of training, every predictor or every device: what it is, and its options.

    Args:
        kind: ``searchers``, ``strategies``, ``predictors`` or ``devices``.
    """
    if kind == "predictors":
        rows = [[f"`{name}`", plain_text(describe_predictor(name))] for name in predictor_names()]
        return markdown(["Name", "What it is"], rows)
    names, describe, find = _REGISTRIES[kind]
    rows = []
    for name in names():
        rows.append([f"`{name}`", "", "", plain_text(describe(name))])
        told = documented(find(name))
        rows += [["", f"`{option}`", default, told[option]] for option, default in _options(find(name))]
    return markdown(["Name", "Option", "Default", "What it is"], rows)


_Registry = tuple[Callable[[], list[str]], Callable[[str], str], Callable[[str], Callable[..., object]]]
_REGISTRIES: Mapping[str, _Registry] = {
    "searchers": (searcher_names, describe_searcher, searcher_factory),
    "strategies": (strategy_names, describe_strategy, lambda name: type(get_strategy(name))),
    "devices": (device_names, describe_device, lambda name: type(get_device(name))),
}


def space_options_table() -> str:
    """The options of every space with their defaults, as a config gives them."""
    rows = []
    for name in space_names():
        factory = getattr(sys.modules[space_module(name)], name)
        options = [f"`{option}: {default.strip('`')}`" for option, default in _options(factory)]
        rows.append([f"`{name}`", ", ".join(options) or "[its whole shape](your-own-space.md#in-a-config)"])
    return markdown(["Space", "Options and their defaults"], rows)


def _options(factory: Callable[..., object]) -> Iterator[tuple[str, str]]:
    """Name and default of every argument that may be left out and that no run gives itself."""
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.default is not inspect.Parameter.empty and parameter.name not in _OF_THE_RUN:
            yield parameter.name, shown(parameter.default)
