"""How the search judges a candidate: counts, predictions (or measurements where no predictor is good), accuracy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from nas.candidate import Candidate, Metric
from nas.config import Config
from nas.errors import NasError
from nas.evaluate import CachedAccuracy, CompositeEvaluator, NetworkPredictor
from nas.files import read_json, reading
from nas.ledger import Ledger
from nas.stages.context import Context
from nas.stages.fronts import searched_views
from nas.stages.models import ModelFiles
from nas.stages.targets import Target
from search_spaces import Architecture
from supernet import weights_digest

Judge = Callable[[Sequence[Architecture]], list[Candidate]]


def counted_judge(config: Config) -> Judge:
    """What gives a network's counted metrics alone."""
    return _composite(config, {}, None).cheap


def make_evaluator(
    context: Context, predictors: Mapping[str, NetworkPredictor], ledger: Ledger
) -> CompositeEvaluator | MeasuringEvaluator:
    """The evaluator of a run.

    Args:
        context: the run.
        predictors: by target; candidates are measured on the targets that have none.
        ledger: keeps these measurements.

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
    accuracy = CachedAccuracy(
        context.evaluator.accuracy,
        context.path("search", "accuracies.jsonl"),
        weights=weights,
        settings=_evaluation_digest(context),
    )
    composite = _composite(config, predictors, accuracy)
    unpredicted = [target for target in context.targets if target.name not in predictors]
    if not unpredicted:
        return composite
    files = context.model_files("search", [target.variant for target in unpredicted], timed_only=True)
    return MeasuringEvaluator(composite, files, unpredicted, ledger)


def quick_judge(evaluator: CompositeEvaluator | MeasuringEvaluator) -> Judge:
    """What gives the metrics that need neither images nor devices: those counted and those predicted."""
    return evaluator.cheap if isinstance(evaluator, CompositeEvaluator) else evaluator.inner.cheap


def cheap_judge(evaluator: CompositeEvaluator | MeasuringEvaluator) -> Judge | None:
    """What gives an evaluator's every metric but the accuracy; None where that takes measurements."""
    return evaluator.cheap if isinstance(evaluator, CompositeEvaluator) else None


class MeasuringEvaluator:
    """Adds latencies that are measured, for targets whose predictor is not to be trusted.

    Args:
        inner: gives all other metrics.
        files: makes what is measured.
        targets: those without a predictor.
        ledger: keeps the measurements.
    """

    def __init__(self, inner: CompositeEvaluator, files: ModelFiles, targets: Sequence[Target], ledger: Ledger) -> None:
        self.inner = inner
        self._files = files
        self._targets = targets
        self._ledger = ledger

    def evaluate(self, archs: Sequence[Architecture]) -> list[Candidate]:
        """See ``Evaluator``; raises NasError where a network cannot be measured."""
        return [self._measured(candidate) for candidate in self.inner.evaluate(archs)]

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
    config: Config, predictors: Mapping[str, NetworkPredictor], accuracy: Callable[[Architecture], float] | None
) -> CompositeEvaluator:
    bits = config.deployed_bits
    return CompositeEvaluator(
        config.make_space(),
        predictors=predictors,
        accuracy=accuracy,
        any_of=[view.base.limits for view in searched_views(config, config.problem)],
        weight_bits=bits,
        activation_bits=bits,
    )


def _evaluation_digest(context: Context) -> str:
    """Names all that an accuracy depends on beside the weights."""
    parts = [context.config.seed, context.config.threads, context.config.search.validation_images]
    split = context.path("split.json").read_bytes()
    return hashlib.sha256(json.dumps(parts).encode() + split).hexdigest()[:20]
