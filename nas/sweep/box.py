"""What the hypervolumes of a sweep are shares of, so that they can be compared whatever the trial's limits are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nas.candidate import ACCURACY, Candidate
from nas.objective import Problem
from nas.pareto import ParetoFront

_MOST_OBJECTIVES: Final = 3


@dataclass(frozen=True)
class Box:
    """A corner that nothing can be better than, and one that is as bad as the networks of the space come.

    Attributes:
        ideal: by objective: 0 of what is to be small; of what is to be large, 1 for the accuracy, else the largest.
        reference: by objective: the largest of what is to be small, 0 of what is to be large.
    """

    ideal: Mapping[str, float]
    reference: Mapping[str, float]

    @classmethod
    def around(cls, candidates: Sequence[Candidate], problem: Problem) -> Box:
        """The box of some candidates, whose accuracies need not be known.

        Raises:
            NasError: one of them lacks an objective other than the accuracy.
        """
        ideal, reference = {}, {}
        for objective in problem.objectives:
            name = objective.metric
            most = 1.0 if name == ACCURACY else max(candidate.value(name) for candidate in candidates)
            best, worst = (most, 0.0) if objective.direction == "maximize" else (0.0, most)
            ideal[name], reference[name] = best, worst
        return cls(ideal, reference)

    def share(self, front: ParetoFront) -> float | None:
        """Share of the box that a front dominates, 0 to 1; None with more objectives than can be computed exactly."""
        if len(self.ideal) > _MOST_OBJECTIVES:
            return None
        size = 1.0
        for name, best in self.ideal.items():
            size *= abs(self.reference[name] - best)
        return front.hypervolume(self.reference) / size if front.members else 0.0

    def to_json(self) -> dict[str, Any]:
        """Values that ``json`` writes."""
        return {"ideal": dict(self.ideal), "reference": dict(self.reference)}
