"""Weight-sharing supernets: an interpreter of networks on shared weights, their training and evaluation."""

from supernet.checkpoint import weights_digest
from supernet.compute import epochs_within, training_macs
from supernet.data import TrainData
from supernet.deployed import deployed_network
from supernet.determinism import compute_deterministically
from supernet.errors import DataError, SupernetError
from supernet.evaluate import SubnetEvaluator
from supernet.interpreter import Supernet
from supernet.operations import NormStatistics
from supernet.random_weights import random_network
from supernet.settings import TrainSettings
from supernet.standalone import StandaloneNetwork
from supernet.statistics import estimate_statistics
from supernet.status import TrainProgress, TrainStatus, read_status
from supernet.strategies import describe_strategy, strategy_names
from supernet.training import load_supernet, train
from supernet.workers import Workers

__all__ = [
    "DataError",
    "NormStatistics",
    "StandaloneNetwork",
    "SubnetEvaluator",
    "Supernet",
    "SupernetError",
    "TrainData",
    "TrainProgress",
    "TrainSettings",
    "TrainStatus",
    "Workers",
    "compute_deterministically",
    "deployed_network",
    "describe_strategy",
    "epochs_within",
    "estimate_statistics",
    "load_supernet",
    "random_network",
    "read_status",
    "strategy_names",
    "train",
    "training_macs",
    "weights_digest",
]
