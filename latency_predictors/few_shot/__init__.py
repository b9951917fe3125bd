"""Latency of an unseen device from a few measurements, with the help of devices known beforehand; on arrays."""

from latency_predictors.few_shot.description import Description, Quantities, Scaling
from latency_predictors.few_shot.fleet import Fleet
from latency_predictors.few_shot.target import Encoded, Target

__all__ = ["Description", "Encoded", "Fleet", "Quantities", "Scaling", "Target"]
