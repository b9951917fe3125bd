"""How the search judges a candidate: counts, predicted latencies where a predictor is good, accuracy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from nas.candidate import Candidate
from nas.config import Config
from nas.evaluate import Accuracies, CachedAccuracies, CompositeEvaluator, NetworkPredictor
from nas.stages.context import Context
from nas.stages.fronts import searched_views
from search_spaces import Architecture

Judge = Callable[[Sequence[Architecture]], list[Candidate]]


def counted_judge(config: Config) -> Judge:
    """What gives a network's counted metrics alone."""
    return predicting_judge(config, {})


def predicting_judge(config: Config, predictors: Mapping[str, NetworkPredictor]) -> Judge:
    """What gives a network's counted metrics and its predicted latencies."""
    return _composite(config, predictors, None).cheap


def make_evaluator(
    context: Context,
    predictors: Mapping[str, NetworkPredictor],
    accuracies: Accuracies,
    folder: Sequence[str] = ("search",),
) -> CompositeEvaluator:
    """The evaluator of a run.

    Args:
        context: the run.
        predictors: by target; what it finds lacks the latencies on targets that have none.
        accuracies: evaluates architectures in the trained supernet.
        folder: parts of the path in the run directory where accuracies are kept.

    Raises:
        NasError: weights other than those that the run was trained to.
    """
    context.check_weights()
    cached = CachedAccuracies(
        accuracies,
        context.path(*folder, "accuracies.jsonl"),
        weights=context.weights,
        settings=evaluation_digest(context),
    )
    return _composite(context.config, predictors, cached)


def _composite(
    config: Config, predictors: Mapping[str, NetworkPredictor], accuracies: Accuracies | None
) -> CompositeEvaluator:
    bits = config.deployed_bits
    return CompositeEvaluator(
        config.make_space(),
        predictors=predictors,
        accuracies=accuracies,
        any_of=[view.base.limits for view in searched_views(config, config.problem)],
        weight_bits=bits,
        activation_bits=bits,
    )


def made_of(context: Context) -> list[str]:
    """Names all that a search's findings depend on: the weights, the predictors, and how accuracies are found."""
    predictors = hashlib.sha256(context.run.result("fit").read_bytes()).hexdigest()
    return [context.weights, predictors, evaluation_digest(context)]


def evaluation_digest(context: Context) -> str:
    """Names all that an accuracy depends on beside the weights."""
    config = context.config
    parts = [config.seed, config.evaluation_threads, config.search.validation_images]
    split = context.path("split.json").read_bytes()
    return hashlib.sha256(json.dumps(parts).encode() + split).hexdigest()[:20]
