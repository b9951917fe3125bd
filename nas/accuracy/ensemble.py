"""Several views of the same networks, each by a Gaussian process, averaged by how well they predict."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from nas.accuracy.encoding import Encoded, Encoding
from nas.accuracy.gaussian_process import ViewProcess, honest
from nas.accuracy.predictor import AccuracyPredictor, State
from nas.accuracy.scores import HeldOut
from nas.accuracy.views import standard_views

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_PULL = 0.3


class Views:
    """A process for every view, averaged.

    Args:
        encoding: gives the views.
        networks: training networks.
        accuracies: their accuracies, shape ``(networks,)``.
        state: parameters and weights, if they are known.
    """

    def __init__(self, encoding: Encoding, networks: Encoded, accuracies: Vector, state: State | None = None) -> None:
        views = standard_views(encoding, networks)
        known = {name: None if state is None else state[f"theta.{name}"] for name in views}
        self.members = {name: ViewProcess(view, networks, accuracies, known[name]) for name, view in views.items()}
        means = np.stack([member.left_out_mean for member in self.members.values()])
        deviations = np.stack([member.left_out_sd for member in self.members.values()])
        self.weights = stacking_weights(means - accuracies) if state is None else state["weights"]
        self.left_out = _mixture(self.weights, means, deviations)

    def __call__(self, networks: Encoded) -> tuple[Vector, Vector]:
        """Mean and standard deviation, each of shape ``(networks,)``."""
        pairs = [member(networks) for member in self.members.values()]
        means, deviations = (np.stack(part) for part in zip(*pairs, strict=True))
        return _mixture(self.weights, means, deviations)


class EnsemblePredictor(AccuracyPredictor):
    """Gaussian processes on decisions, on what decisions share and on physical counts, averaged; best at any size.

    The views err in different ways: few networks are told apart best by physical counts and by what decisions of a kind
    share, many by the decisions themselves. Weights are found on leave-one-out predictions (stacking, Wolpert 1992) and
    held towards equal ones. The spread of a prediction counts both what the members are unsure of and where they
    disagree; the held-out errors turn it into an interval.

    Attributes:
        views_: the processes and their weights.
    """

    name: ClassVar[str] = "ensemble"

    def _fit(self, networks: Encoded, accuracies: Vector) -> HeldOut:
        self.views_ = self._views(networks, accuracies)
        return honest(self._views, networks, accuracies, self.views_.left_out)

    def _predict(self, networks: Encoded) -> tuple[Vector, Vector]:
        return self.views_(networks)

    def options(self) -> dict[str, Any]:
        """It has none."""
        return {}

    def state(self) -> State:
        """The parameters of every member's kernel, and the weights."""
        thetas = {f"theta.{name}": member.theta for name, member in self.views_.members.items()}
        return {"weights": self.views_.weights, **thetas}

    def _restore(self, networks: Encoded, accuracies: Vector, state: State) -> None:
        self.views_ = self._views(networks, accuracies, state)

    def _views(self, networks: Encoded, accuracies: Vector, state: State | None = None) -> Views:
        return Views(self.encoding, networks, accuracies, state)


def _mixture(weights: Vector, means: Matrix, deviations: Matrix) -> tuple[Vector, Vector]:
    """Mean and standard deviation of a mixture of normal distributions, arrays of shape ``(members, networks)``."""
    mean = weights @ means
    return mean, np.sqrt(weights @ (deviations**2 + (means - mean) ** 2))


def stacking_weights(errors: Matrix) -> Vector:
    """Shares, positive and of sum 1, that make the mean squared error of an average least, held towards equal ones.

    Views that err alike are averaged best in equal parts: weights would follow chance. So the pull grows with the
    number of networks, and only a member that is much worse than others loses its share.

    Args:
        errors: of every member on networks that it had not seen, shape ``(members, networks)``.
    """
    members, networks = errors.shape
    covariance = errors @ errors.T / networks
    covariance /= np.trace(covariance) / members or 1.0

    pull = _PULL * networks

    def cost(logits: Vector) -> tuple[float, Vector]:
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        along = covariance @ shares
        variance = float(shares @ along) + 1e-12
        gradient = networks * shares * (along - shares @ along) / variance + pull * logits
        return 0.5 * networks * np.log(variance) + 0.5 * pull * float(logits @ logits), gradient

    logits = minimize(cost, np.zeros(members), jac=True, method="L-BFGS-B").x
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum(), np.float64)
