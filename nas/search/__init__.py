"""Search: ask for architectures, tell what they turned out to be."""

from nas.search.base import Searcher
from nas.search.evolution import EvolutionSearcher
from nas.search.exploration import Exploration
from nas.search.feasible import feasible_rows
from nas.search.model_assisted import ModelAssistedSearcher
from nas.search.nsga2 import Nsga2Searcher
from nas.search.optuna_search import OptunaSearcher
from nas.search.optuna_shared import SharedOptunaSearcher
from nas.search.policy_gradient import PolicyGradientSearcher
from nas.search.random_search import RandomSearcher
from nas.search.registry import (
    check_searcher_options,
    describe_searcher,
    get_searcher,
    register_searcher,
    searcher_factory,
    searcher_names,
)
from nas.search.regularized import RegularizedEvolutionSearcher
from nas.search.single_limit import OnceForAllEvolutionSearcher

__all__ = [
    "EvolutionSearcher",
    "Exploration",
    "ModelAssistedSearcher",
    "Nsga2Searcher",
    "OnceForAllEvolutionSearcher",
    "OptunaSearcher",
    "PolicyGradientSearcher",
    "RandomSearcher",
    "RegularizedEvolutionSearcher",
    "Searcher",
    "SharedOptunaSearcher",
    "check_searcher_options",
    "describe_searcher",
    "feasible_rows",
    "get_searcher",
    "register_searcher",
    "searcher_factory",
    "searcher_names",
]
