"""Accuracy predictors: from architectures whose accuracy was evaluated to those whose accuracy was not."""

from nas.accuracy.encoding import Encoded, Encoding
from nas.accuracy.errors import AccuracyError
from nas.accuracy.predictor import MINIMUM_NETWORKS, AccuracyPredictor
from nas.accuracy.registry import (
    accuracy_predictor_names,
    describe_accuracy_predictor,
    get_accuracy_predictor,
    register_accuracy_predictor,
)
from nas.accuracy.scores import AccuracyScores, HeldOut, score
from nas.accuracy.storage import load_accuracy_predictor, save_accuracy_predictor

__all__ = [
    "MINIMUM_NETWORKS",
    "AccuracyError",
    "AccuracyPredictor",
    "AccuracyScores",
    "Encoded",
    "Encoding",
    "HeldOut",
    "accuracy_predictor_names",
    "describe_accuracy_predictor",
    "get_accuracy_predictor",
    "load_accuracy_predictor",
    "register_accuracy_predictor",
    "save_accuracy_predictor",
    "score",
]
