"""Search: ask for architectures, tell what they turned out to be."""

from nas.search.base import Searcher
from nas.search.nsga2 import Nsga2Searcher
from nas.search.optuna_search import OptunaSearcher
from nas.search.random_search import RandomSearcher
from nas.search.registry import describe_searcher, get_searcher, register_searcher, searcher_names

__all__ = [
    "Nsga2Searcher",
    "OptunaSearcher",
    "RandomSearcher",
    "Searcher",
    "describe_searcher",
    "get_searcher",
    "register_searcher",
    "searcher_names",
]
