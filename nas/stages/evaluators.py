"""How the search judges a candidate: counts, predictions (or measurements where no predictor is good), accuracy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nas.candidate import Candidate, Metric
from nas.config import Config
from nas.errors import NasError
from nas.evaluate import (
    Accuracies,
    Advance,
    CachedAccuracies,
    CompositeEvaluator,
    Evaluator,
    NetworkPredictor,
    check_limits,
)
from nas.files import read_json, reading
from nas.ledger import Ledger
from nas.stages.context import Context
from nas.stages.models import ModelFiles
from nas.stages.targets import Target
from search_spaces import Architecture
from supernet import weights_digest


def check_counted_limits(config: Config) -> None:
    """Refuse limits on counted metrics that no network of the space meets, before anything is computed.

    Raises:
        NasError: such a limit; the message says how near the nearest network comes.
    """
    counter = _composite(config, {}, None)
    check_limits(config.make_space(), counter.cheap, config.limits, np.random.default_rng(config.seed))


def make_evaluator(
    context: Context, predictors: Mapping[str, NetworkPredictor], ledger: Ledger, accuracies: Accuracies
) -> Evaluator:
    """The evaluator of a run, whose limits are checked to be within reach.

    Args:
        context: the run.
        predictors: by target; candidates are measured on the targets that have none.
        ledger: keeps these measurements.
        accuracies: evaluates architectures in the trained supernet.

    Raises:
        NasError: a limit that no network meets by its predicted latency.
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
    composite = _composite(config, predictors, cached)
    check_limits(context.space, composite.cheap, config.limits, context.rng("limits"))
    unpredicted = [target for target in context.targets if target.name not in predictors]
    if not unpredicted:
        return composite
    files = context.model_files("search", [target.variant for target in unpredicted], timed_only=True)
    return _MeasuringEvaluator(composite, files, unpredicted, ledger)


def cheap_judge(evaluator: Evaluator) -> Callable[[Sequence[Architecture]], list[Candidate]] | None:
    """What gives an evaluator's every metric but the accuracy; None where that takes measurements."""
    return evaluator.cheap if isinstance(evaluator, CompositeEvaluator) else None


class _MeasuringEvaluator:
    """Adds latencies that are measured, for targets whose predictor is not to be trusted."""

    def __init__(self, inner: Evaluator, files: ModelFiles, targets: Sequence[Target], ledger: Ledger) -> None:
        self._inner = inner
        self._files = files
        self._targets = targets
        self._ledger = ledger

    def evaluate(self, archs: Sequence[Architecture], advance: Advance = lambda _: None) -> list[Candidate]:
        candidates = []
        # All accuracies first: evaluating them beside a measurement would slow it down.
        for candidate in self._inner.evaluate(archs):
            candidates.append(self._measured(candidate))
            advance(1)
        return candidates

    def _measured(self, candidate: Candidate) -> Candidate:
        artifacts = self._files.get(candidate.arch)
        metrics = dict(candidate.metrics)
        for target in self._targets:
            measurement = target.measure(self._ledger, artifacts[target.variant])
            if measurement.error is not None:
                raise NasError(
                    f"network {candidate.arch.key} could not be measured on {target.name!r}: {measurement.error}. "
                    "The search measures because the predictor failed its check; see what the target lacks with "
                    "`nas devices check`, then run `nas search` again"
                )
            metrics[target.metric] = Metric(measurement.median_s, "s", "measured")
        self._files.discard(candidate.arch)  # a search would leave hundreds
        return Candidate(candidate.arch, metrics)


def _composite(
    config: Config, predictors: Mapping[str, NetworkPredictor], accuracies: Accuracies | None
) -> CompositeEvaluator:
    bits = config.deployed_bits
    return CompositeEvaluator(
        config.make_space(),
        predictors=predictors,
        accuracies=accuracies,
        limits=config.limits,
        weight_bits=bits,
        activation_bits=bits,
    )


def _evaluation_digest(context: Context) -> str:
    """Names all that an accuracy depends on beside the weights."""
    config = context.config
    parts = [config.seed, config.evaluation_threads, config.search.validation_images]
    split = context.path("split.json").read_bytes()
    return hashlib.sha256(json.dumps(parts).encode() + split).hexdigest()[:20]
