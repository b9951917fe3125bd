"""Ways to train one network for all: each a file, chosen by ``train.strategy``."""

from supernet.strategies.alphanet import AlphaNet
from supernet.strategies.attentive import Attentive
from supernet.strategies.base import Strategy
from supernet.strategies.deps import Deps
from supernet.strategies.plan import FreezeTeacher, Lesson, Plan, Run, SortChannels
from supernet.strategies.progressive_shrinking import ProgressiveShrinking
from supernet.strategies.registry import (
    describe_strategy,
    get_strategy,
    register_strategy,
    strategy_names,
    strategy_of,
)
from supernet.strategies.sandwich import Sandwich
from supernet.strategies.single_path import SinglePath

__all__ = [
    "AlphaNet",
    "Attentive",
    "Deps",
    "FreezeTeacher",
    "Lesson",
    "Plan",
    "ProgressiveShrinking",
    "Run",
    "Sandwich",
    "SinglePath",
    "SortChannels",
    "Strategy",
    "describe_strategy",
    "get_strategy",
    "register_strategy",
    "strategy_names",
    "strategy_of",
]
