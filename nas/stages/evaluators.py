"""How the search judges a candidate: counts, predicted latencies where a predictor is good, accuracy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from nas.candidate import Candidate
from nas.config import Config
from nas.errors import NasError
from nas.evaluate import Accuracies, CachedAccuracies, CompositeEvaluator, NetworkPredictor
from nas.files import read_json, reading
from nas.stages.context import Context
from nas.stages.fronts import searched_views
from search_spaces import Architecture
from supernet import weights_digest

Judge = Callable[[Sequence[Architecture]], list[Candidate]]


def counted_judge(config: Config) -> Judge:
    """What gives a network's counted metrics alone."""
    return _composite(config, {}, None).cheap


def make_evaluator(
    context: Context, predictors: Mapping[str, NetworkPredictor], accuracies: Accuracies
) -> CompositeEvaluator:
    """The evaluator of a run.

    Args:
        context: the run.
        predictors: by target; what it finds lacks the latencies on targets that have none.
        accuracies: evaluates architectures in the trained supernet.

    Raises:
        NasError: weights other than those that the run was trained to.
    """
    config, trained = context.config, context.run.result("train")
    with reading(trained):
        weights = str(read_json(trained)["weights_sha256"])
    if weights != weights_digest(context.path("train")):
        raise NasError(
            f"{trained} tells of other weights than those that lie beside it; delete it and run `nas train` again, "
            "which goes on from the last checkpoint"
        )
    cached = CachedAccuracies(
        accuracies,
        context.path("search", "accuracies.jsonl"),
        weights=weights,
        settings=_evaluation_digest(context),
    )
    return _composite(config, predictors, cached)


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


def _evaluation_digest(context: Context) -> str:
    """Names all that an accuracy depends on beside the weights."""
    config = context.config
    parts = [config.seed, config.evaluation_threads, config.search.validation_images]
    split = context.path("split.json").read_bytes()
    return hashlib.sha256(json.dumps(parts).encode() + split).hexdigest()[:20]
