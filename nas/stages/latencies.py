"""Latencies that the search measures, on targets whose predictor is not to be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.candidate import Candidate
from nas.errors import NasError
from nas.evaluate import NetworkPredictor
from nas.ledger import Ledger
from nas.stages.context import Context
from nas.stages.measuring import in_passes, measured_latency, run_campaign
from nas.stages.targets import Target
from nas.visits import describe


class MeasuredLatencies:
    """Measures a batch of candidates as ``profile`` and ``confirm`` do: in passes, with a sentinel in between.

    Args:
        context: the run.
        targets: where to measure.
        ledger: keeps every visit.
    """

    def __init__(self, context: Context, targets: Sequence[Target], ledger: Ledger) -> None:
        self._context, self._targets, self._ledger = context, targets, ledger
        self._files = context.model_files("search", [target.variant for target in targets], timed_only=True)

    def add(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates with a measured latency on each target.

        Raises:
            NasError: one of them could not be measured.
        """
        context, by_key = self._context, {candidate.arch.key: candidate for candidate in candidates}
        pairs = [(key, target.name) for key in by_key for target in self._targets]
        order = [pairs[i] for i in context.rng("search", "measured").permutation(len(pairs))]
        measured = run_campaign(
            self._ledger,
            self._targets,
            {key: self._files.get(candidate.arch) for key, candidate in by_key.items()},
            in_passes(context, "search", order),
            sentinels=context.path("search", "sentinel"),
            on_visit=lambda pair, _visit: context.progress.advance(0, detail=pair[1]),
        )
        for name, row in measured.quality.items():
            context.progress.note(f"search: {name}: {describe(row)}")
        found = []
        for key, candidate in by_key.items():
            metrics = dict(candidate.metrics)
            for target in self._targets:
                measurement = measured.measurements[key, target.name]
                if measurement.error is not None:
                    raise NasError(
                        f"network {key} could not be measured on {target.name!r}: {measurement.error}. "
                        "The search measures because the predictor failed its check; see what the target lacks with "
                        "`nas devices check`, then run `nas search` again"
                    )
                metrics[target.metric] = measured_latency(measurement)
            found.append(Candidate(candidate.arch, metrics))
        for candidate in found:
            self._files.discard(candidate.arch)  # a search would leave hundreds
        return found


def make_latencies(
    context: Context, predictors: Mapping[str, NetworkPredictor], ledger: Ledger
) -> MeasuredLatencies | None:
    """What measures candidates on the targets that have no predictor; None where each has one.

    Args:
        context: the run.
        predictors: by target.
        ledger: keeps the measurements.
    """
    unpredicted = [target for target in context.targets if target.name not in predictors]
    return MeasuredLatencies(context, unpredicted, ledger) if unpredicted else None
