"""MnasNet's search (Tan et al. 2019): a policy learns, by its gradient, to propose networks of a high reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.objective import Problem, Scores
from nas.search.registry import register_searcher
from nas.search.resumable import ResumableSearcher
from nas.search.rows import Indices, pack_floats, unpack_floats
from search_spaces import SearchSpace

_ROUNDS: Final = 8
_BASELINE_KEPT: Final = 0.95
_FIRST_MOMENT, _SECOND_MOMENT, _TINY = 0.9, 0.999, 1e-8


@register_searcher("policy_gradient")
class PolicyGradientSearcher(ResumableSearcher):
    """MnasNet's policy-gradient search: reward ACC x (LAT / T) ** w, one network traded off rather than a front.

    The reward is the product of every maximised objective and, for every minimised one, of ``(value / T) ** exponent``
    (equation 2). T is the objective's limit; without one it is the first value told, which changes the reward's scale
    only. A network over a limit on anything else has its reward divided by the share by which it is over (the paper's
    hard variant, α = 0, β = -1).

    The paper's controller is a recurrent network under proximal policy optimisation. Here every decision has a softmax
    of its own and the plain gradient (REINFORCE) with a moving baseline under Adam.

    Args:
        space: what is searched.
        problem: objectives and limits; objectives may be maximised only where their values are positive.
        rng: source of randomness.
        exponent: w; 0 or less. -0.07 is the paper's: twice the latency for 5 % of the accuracy.
        learning_rate: of Adam, on logits.
        entropy: weight of the policy's entropy, which keeps it from settling too early.

    Raises:
        NasError: a setting out of range.
    """

    name = "policy_gradient"

    def __init__(
        self,
        space: SearchSpace,
        problem: Problem,
        rng: np.random.Generator,
        *,
        exponent: float = -0.07,
        learning_rate: float = 0.05,
        entropy: float = 1e-3,
    ) -> None:
        super().__init__(space, problem, rng)
        if isinstance(exponent, bool) or not -10 <= exponent <= 0:
            raise NasError(f"policy_gradient: exponent is {exponent!r}; give one from -10 to 0, such as -0.07")
        if isinstance(learning_rate, bool) or not 0 < learning_rate <= 1 or not 0 <= entropy <= 1:
            raise NasError(
                f"policy_gradient: learning_rate is {learning_rate!r} and entropy {entropy!r}; "
                "allowed: above 0 to 1, and 0 to 1"
            )
        self._exponent, self._learning_rate, self._entropy = exponent, learning_rate, entropy
        counts = space.option_counts
        self._exists = np.arange(counts.max()) < counts[:, None]
        self._logits = np.zeros(self._exists.shape)
        self._moments = np.zeros((2, *self._exists.shape))
        self._steps = 0
        self._baseline: float | None = None
        self._targets: NDArray[np.float64] | None = None

    def _probabilities(self) -> NDArray[np.float64]:
        """Shape ``(decisions, options)``."""
        raised = np.where(self._exists, np.exp(self._logits - self._logits.max(axis=1, keepdims=True)), 0.0)
        shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
        return shares

    def _propose(self, count: int) -> Indices:
        found = np.empty((0, len(self._logits)), np.int64)
        bounds = self._probabilities().cumsum(axis=1)
        last = self._space.option_counts - 1
        for _ in range(_ROUNDS):
            missing = count - len(found)
            if not missing:
                return found
            drawn = self._rng.random((2 * missing, len(bounds)))
            rows = np.minimum((drawn[:, :, None] > bounds).sum(axis=2), last)
            found = np.concatenate([found, self._unseen.take(self._space.canonical_indices(rows), missing)])
        return self._topped_up(found, count)

    def _rewards(self, scores: Scores) -> NDArray[np.float64]:
        """Shape ``(networks,)``; 0 where a network over a limit lacks an objective."""
        known = np.isfinite(scores.costs).all(axis=1)
        if self._targets is None and known.any():
            self._targets = self._make_targets(scores.costs[known][0])
        rewards = np.zeros(len(scores.costs))
        if self._targets is None:
            return rewards
        product = np.ones(int(known.sum()))
        for column, objective in enumerate(self._problem.objectives):
            values = objective.sign * scores.costs[known, column]
            if objective.direction == "maximize":
                product *= np.maximum(values, 0.0)
            else:
                product *= np.maximum(values / self._targets[column], 1e-9) ** self._exponent
        traded = {objective.metric for objective in self._problem.objectives}
        for column, limit in enumerate(self._problem.limits):
            if limit.metric not in traded:
                product /= 1 + np.maximum(scores.margins[known, column], 0.0)
        rewards[known] = product
        return rewards

    def _make_targets(self, costs: NDArray[np.float64]) -> NDArray[np.float64]:
        limits = {limit.metric: limit.at_most for limit in self._problem.limits}
        given = [limits.get(objective.metric) for objective in self._problem.objectives]
        chosen = [abs(cost) if limit is None else abs(limit) for cost, limit in zip(costs, given, strict=True)]
        return np.array([value or 1.0 for value in chosen])

    def _learn(self, rows: Indices, scores: Scores) -> None:
        rewards = self._rewards(scores)
        if self._baseline is None:
            self._baseline = float(rewards.mean())
        shares = self._probabilities()
        matters = self._space.active(rows)[:, :, None]
        taken = np.arange(shares.shape[1]) == rows[:, :, None]
        # Gradient of the log-probability of a choice: one for the option taken, less its probability for each.
        surprise = (rewards - self._baseline)[:, None, None]
        gradient = (surprise * matters * (taken - shares)).mean(axis=0)
        logs = np.log(np.where(self._exists, np.maximum(shares, 1e-12), 1.0))
        gradient -= self._entropy * shares * (logs - (shares * logs).sum(axis=1, keepdims=True))
        kept = _BASELINE_KEPT ** len(rows)
        self._baseline = kept * self._baseline + (1 - kept) * float(rewards.mean())
        self._climb(np.where(self._exists, gradient, 0.0))

    def _climb(self, gradient: NDArray[np.float64]) -> None:
        """One step of Adam (Kingma and Ba 2015, algorithm 1)."""
        self._steps += 1
        self._moments[0] = _FIRST_MOMENT * self._moments[0] + (1 - _FIRST_MOMENT) * gradient
        self._moments[1] = _SECOND_MOMENT * self._moments[1] + (1 - _SECOND_MOMENT) * gradient**2
        mean = self._moments[0] / (1 - _FIRST_MOMENT**self._steps)
        spread = np.sqrt(self._moments[1] / (1 - _SECOND_MOMENT**self._steps))
        self._logits += self._learning_rate * mean / (spread + _TINY)

    def _memory(self) -> dict[str, Any]:
        return {
            "logits": pack_floats(self._logits),
            "moments": pack_floats(self._moments),
            "steps": self._steps,
            "baseline": self._baseline,
            "targets": None if self._targets is None else pack_floats(self._targets),
        }

    def _remember(self, memory: Mapping[str, Any]) -> None:
        self._logits = unpack_floats(memory["logits"], *self._logits.shape)
        self._moments = unpack_floats(memory["moments"], *self._moments.shape)
        self._steps = int(memory["steps"])
        self._baseline = None if memory["baseline"] is None else float(memory["baseline"])
        targets = memory["targets"]
        self._targets = None if targets is None else unpack_floats(targets, len(self._problem.objectives))
