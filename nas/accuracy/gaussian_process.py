"""A Gaussian process over the decisions of a space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.encoding import Encoded
from nas.accuracy.group_gp import Posterior, maximise_evidence
from nas.accuracy.left_out import Model, cross_predicted, spaced
from nas.accuracy.predictor import AccuracyPredictor, Scale, State
from nas.accuracy.scores import HeldOut
from nas.accuracy.views import View

Vector = NDArray[np.float64]

ITERATIONS = 40

_HONEST = 100
"""Networks beyond those that settings were chosen on from which leave-one-out errors are as those of new networks."""


class ViewProcess:
    """A Gaussian process on one view of the networks.

    Args:
        view: which columns.
        networks: training networks.
        accuracies: their accuracies, shape ``(networks,)``.
        theta: logarithms of the kernel's parameters, if they are known.
    """

    def __init__(self, view: View, networks: Encoded, accuracies: Vector, theta: Vector | None = None) -> None:
        self._view, self._scale = view, Scale(accuracies)
        x, target = view.columns(networks), self._scale.down(accuracies)
        chosen = spaced(len(x))
        self.theta = maximise_evidence(view.kernel, x[chosen], target[chosen], ITERATIONS) if theta is None else theta
        self._posterior = Posterior(view.kernel, self.theta, x, target)
        self.left_out_mean = self._scale.up(self._posterior.left_out_mean)
        self.left_out_sd = self._scale.deviation * self._posterior.left_out_sd

    def __call__(self, networks: Encoded) -> tuple[Vector, Vector]:
        """Mean and standard deviation, each of shape ``(networks,)``."""
        mean, sd = self._posterior.predict(self._view.columns(networks))
        return self._scale.up(mean), self._scale.deviation * sd


def honest(
    fit: Callable[[Encoded, Vector], Model], networks: Encoded, accuracies: Vector, left_out: tuple[Vector, Vector]
) -> HeldOut:
    """Errors as those of new networks, for processes whose leave-one-out predictions are known.

    Where there are enough networks that no kernel's parameters were chosen on, these are their leave-one-out
    predictions; where there are not, processes are fitted again without them.

    Args:
        fit: makes the model again.
        networks: training networks.
        accuracies: their accuracies, shape ``(networks,)``.
        left_out: leave-one-out means and standard deviations, each of shape ``(networks,)``.
    """
    others = np.setdiff1d(np.arange(len(accuracies)), spaced(len(accuracies)))
    if len(others) < _HONEST:
        return cross_predicted(fit, networks, accuracies)
    mean, sd = left_out
    return HeldOut(mean[others], sd[others], accuracies[others])


class GaussianProcessPredictor(AccuracyPredictor):
    """Gaussian process with a squared-exponential kernel over decisions, one length scale each by marginal likelihood.

    Rasmussen & Williams 2006, section 5.1 (automatic relevance determination).

    Attributes:
        process_: the process.
    """

    name: ClassVar[str] = "gp"

    def _fit(self, networks: Encoded, accuracies: Vector) -> HeldOut:
        self.process_ = self._process(networks, accuracies)
        left_out = (self.process_.left_out_mean, self.process_.left_out_sd)
        return honest(self._process, networks, accuracies, left_out)

    def _predict(self, networks: Encoded) -> tuple[Vector, Vector]:
        return self.process_(networks)

    def options(self) -> dict[str, Any]:
        """It has none."""
        return {}

    def state(self) -> State:
        """The kernel's parameters."""
        return {"theta": self.process_.theta}

    def _restore(self, networks: Encoded, accuracies: Vector, state: State) -> None:
        self.process_ = self._process(networks, accuracies, state["theta"])

    def _process(self, networks: Encoded, accuracies: Vector, theta: Vector | None = None) -> ViewProcess:
        view = View(self.encoding.decisions, physical=False, train=networks, linear=False)
        return ViewProcess(view, networks, accuracies, theta)
