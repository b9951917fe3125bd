"""Latency predictors: estimators that learn, from a few measured networks, how fast a device runs any other."""

from latency_predictors.blocks import block_keys
from latency_predictors.boosting import FeaturePredictor
from latency_predictors.check import MINIMUM_CHECKED, check_predictor, cross_validate, fit_checked, select_predictor
from latency_predictors.cost_model import CostModelPredictor
from latency_predictors.errors import PredictorError
from latency_predictors.features import feature_matrix, feature_names, features
from latency_predictors.few_shot_predictor import FewShotPredictor
from latency_predictors.known_devices import KnownDevices
from latency_predictors.predictor import HeldOut, LatencyPredictor
from latency_predictors.registry import describe_predictor, get_predictor, predictor_names, register_predictor
from latency_predictors.scores import PredictorScores, score
from latency_predictors.storage import load_predictor, save_predictor
from latency_predictors.table import BlockTablePredictor

__all__ = [
    "MINIMUM_CHECKED",
    "BlockTablePredictor",
    "CostModelPredictor",
    "FeaturePredictor",
    "FewShotPredictor",
    "HeldOut",
    "KnownDevices",
    "LatencyPredictor",
    "PredictorError",
    "PredictorScores",
    "block_keys",
    "check_predictor",
    "cross_validate",
    "describe_predictor",
    "feature_matrix",
    "feature_names",
    "features",
    "fit_checked",
    "get_predictor",
    "load_predictor",
    "predictor_names",
    "register_predictor",
    "save_predictor",
    "score",
    "select_predictor",
]
