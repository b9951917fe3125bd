"""Once-for-all's accuracy predictor."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.accuracy.encoding import Encoded, Encoding
from nas.accuracy.errors import AccuracyError
from nas.accuracy.left_out import cross_predicted, spaced
from nas.accuracy.predictor import AccuracyPredictor, Scale, State
from nas.accuracy.scores import HeldOut
from search_spaces import SearchSpace

Vector = NDArray[np.float64]

_BATCH = 64
_FOLDS = 3


class _Fitted:
    """A trained network; weights and biases layer by layer."""

    def __init__(self, encoding: Encoding, scale: Scale, parameters: Sequence[Tensor]) -> None:
        self._encoding, self._scale, self.parameters = encoding, scale, parameters

    def __call__(self, networks: Encoded) -> tuple[Vector, Vector]:
        x = _inputs(self._encoding, networks)
        with torch.no_grad():
            values = _forward(x, self.parameters).double().numpy()
        return self._scale.up(values), np.ones(len(values))


class MlpPredictor(AccuracyPredictor):
    """Once-for-all's three-layer perceptron on one-hot options (Cai et al. 2020, section 3.4).

    Args:
        space: whose networks are predicted.
        width: units of each of the three hidden layers.
        steps: of training with Adam, 64 networks each.
        learning_rate: at the start; it falls to zero along a cosine.
        weight_decay: of the weights.
        seed: draws the weights and the batches.

    Raises:
        AccuracyError: a setting that is not positive.
    """

    name: ClassVar[str] = "mlp"

    def __init__(
        self,
        space: SearchSpace,
        *,
        width: int = 400,
        steps: int = 500,
        learning_rate: float = 1e-3,
        weight_decay: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(space)
        for option, value in (("width", width), ("steps", steps), ("learning_rate", learning_rate)):
            if not value > 0:
                raise AccuracyError(f"mlp: {option} is {value}; give a positive number")
        self.width, self.steps, self.seed = width, steps, seed
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def _fit(self, networks: Encoded, accuracies: Vector) -> HeldOut:
        chosen = spaced(len(accuracies))
        held_out = cross_predicted(self._train, networks.take(chosen), accuracies[chosen], _FOLDS)
        self.trained_ = self._train(networks, accuracies)
        return held_out

    def _predict(self, networks: Encoded) -> tuple[Vector, Vector]:
        return self.trained_(networks)

    def _train(self, networks: Encoded, accuracies: Vector) -> _Fitted:
        generator = torch.Generator().manual_seed(self.seed)
        scale, x = Scale(accuracies), _inputs(self.encoding, networks)
        target = torch.from_numpy(scale.down(accuracies)).float()
        parameters = _initial([x.shape[1], self.width, self.width, self.width, 1], generator)
        optimiser = torch.optim.AdamW(parameters, self.learning_rate, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        order = torch.empty(0, dtype=torch.int64)
        for _ in range(self.steps):
            if not len(order):
                order = torch.randperm(len(x), generator=generator)
            batch, order = order[:_BATCH], order[_BATCH:]
            optimiser.zero_grad()
            nn.functional.mse_loss(_forward(x[batch], parameters), target[batch]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        return _Fitted(self.encoding, scale, [parameter.detach() for parameter in parameters])

    def options(self) -> dict[str, Any]:
        """Width and training."""
        names = ("width", "steps", "learning_rate", "weight_decay", "seed")
        return {name: getattr(self, name) for name in names}

    def state(self) -> State:
        """Weights and biases."""
        return {f"layer.{index}": parameter.numpy() for index, parameter in enumerate(self.trained_.parameters)}

    def _restore(self, networks: Encoded, accuracies: Vector, state: State) -> None:
        parameters = [torch.from_numpy(np.array(state[f"layer.{index}"])) for index in range(len(state))]
        self.trained_ = _Fitted(self.encoding, Scale(accuracies), parameters)


def _inputs(encoding: Encoding, networks: Encoded) -> Tensor:
    """Options as zeros and ones: scaled to unit variance, rare options count for more and it learns worse."""
    return torch.from_numpy(networks.options[:, encoding.one_hot]).float()


def _initial(widths: Sequence[int], generator: torch.Generator) -> list[Tensor]:
    """Weights and biases as PyTorch draws them, so that the function is nearly constant before it is trained."""
    parameters: list[Tensor] = []
    for inputs, outputs in pairwise(widths):
        for shape in ((outputs, inputs), (outputs,)):
            values = (2 * torch.rand(shape, generator=generator) - 1) / inputs**0.5
            parameters.append(values.requires_grad_())
    return parameters


def _forward(x: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Output of shape ``(networks,)``."""
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = nn.functional.relu(nn.functional.linear(x, weight, bias))
    return nn.functional.linear(x, parameters[-2], parameters[-1])[:, 0]
