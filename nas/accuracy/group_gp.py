"""A Gaussian process whose kernel has one weight and one length scale for every group of columns.

    k(x, x') = c + Σ_g w_g ⟨x_g, x'_g⟩ + a exp(−½ Σ_g s_g |x_g − x'_g|²) + σ² [x = x']

The linear part extrapolates and needs few networks; the smooth part learns how decisions act together. All of c, w, a,
s and σ² are found by marginal likelihood (Rasmussen & Williams 2006, equations 2.30 and 5.9) under wide log-normal
priors, so a group that explains nothing fades out (automatic relevance determination, section 5.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Matrix = NDArray[np.float64]

_PRIOR_SD = 2.0
_JITTER = 1e-8
_FAILED = 1e12


@dataclass(frozen=True)
class Kernel:
    """The kernel's form over some groups.

    Attributes:
        group_of: group of every column, shape ``(columns,)``; whole numbers from 0.
        linear: whether there is a linear part.
    """

    group_of: NDArray[np.int64]
    linear: bool = True

    @property
    def count(self) -> int:
        """Number of groups."""
        return int(self.group_of.max()) + 1

    def start(self) -> Matrix:
        """Logarithms of the parameters to start from, which the priors centre on: w, s, a, c, σ²."""
        weights = np.full(self.count if self.linear else 0, np.log(1 / self.count))
        scales = np.full(self.count, np.log(0.3 / self.count))
        rest = np.log([0.3 if self.linear else 1.0, 1.0, 0.05])
        return np.concatenate([weights, scales, np.asarray(rest, np.float64)])

    def parts(self, theta: Matrix, left: Matrix, right: Matrix) -> tuple[Matrix, Matrix]:
        """Linear part with the constant, and smooth part, each of shape ``(left rows, right rows)``."""
        weights, scales, (amplitude, constant, _) = self.split(theta)
        linear = np.full((len(left), len(right)), constant)
        if self.linear:
            linear += (left * weights[self.group_of]) @ right.T
        a, b = (side * np.sqrt(scales[self.group_of]) for side in (left, right))
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return linear, amplitude * np.exp(-0.5 * np.maximum(squares, 0))

    def split(self, theta: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        """Weights, inverse squared length scales, and (amplitude, constant, noise)."""
        values = np.exp(theta)
        return values[: -self.count - 3], values[-self.count - 3 : -3], values[-3:]


def maximise_evidence(kernel: Kernel, x: Matrix, target: Matrix, iterations: int) -> Matrix:
    """Logarithms of the kernel's parameters that make the data most likely.

    Args:
        kernel: the kernel's form.
        x: shape ``(networks, columns)``, every group centred and of unit mean square norm.
        target: zero mean and unit variance, shape ``(networks,)``.
        iterations: of L-BFGS-B, at most.
    """
    centre = kernel.start()

    def cost(theta: Matrix) -> tuple[float, Matrix]:
        value, gradient = _negative_evidence(kernel, theta, x, target)
        offset = (theta - centre) / _PRIOR_SD
        return value + 0.5 * float(offset @ offset), gradient + offset / _PRIOR_SD

    bounds = [(middle - 9, middle + 9) for middle in centre]
    found = minimize(cost, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations})
    return np.asarray(found.x, np.float64)


def _negative_evidence(kernel: Kernel, theta: Matrix, x: Matrix, target: Matrix) -> tuple[float, Matrix]:
    """Minus the log marginal likelihood, and its gradient in the logarithms of the parameters."""
    linear, smooth = kernel.parts(theta, x, x)
    weights, scales, (_, constant, noise) = kernel.split(theta)
    covariance = linear + smooth
    covariance[np.diag_indices(len(x))] += noise + _JITTER
    try:
        factor = cholesky(covariance, lower=True)
    except LinAlgError:
        return _FAILED, np.zeros_like(theta)
    inverse = cho_solve((factor, True), np.eye(len(x)))
    alpha = inverse @ target
    outer = 0.5 * (inverse - np.outer(alpha, alpha))
    weighted = outer * smooth
    # Σ_ij W_ij (x_id − x_jd)² = 2 (Σ_i s_i x_id² − x_dᵀ W x_d) with s the row sums of W.
    by_column = weighted.sum(1) @ x**2 - (x * (weighted @ x)).sum(0)
    gradient = [-scales * np.bincount(kernel.group_of, by_column, kernel.count)]
    if kernel.linear:
        gradient.insert(0, weights * np.bincount(kernel.group_of, (x * (outer @ x)).sum(0), kernel.count))
    gradient.append(np.array([weighted.sum(), constant * outer.sum(), noise * np.trace(outer)]))
    value = 0.5 * float(target @ alpha) + float(np.log(np.diag(factor)).sum())
    return value, np.concatenate(gradient)


class Posterior:
    """A Gaussian process conditioned on networks.

    Args:
        kernel: the kernel's form.
        theta: logarithms of its parameters.
        x: shape ``(networks, columns)``.
        target: shape ``(networks,)``.

    Attributes:
        left_out_mean: mean for every network given all others, shape ``(networks,)``; closed form (Rasmussen &
            Williams 2006, equation 5.12).
        left_out_sd: standard deviation to it, noise included.
    """

    def __init__(self, kernel: Kernel, theta: Matrix, x: Matrix, target: Matrix) -> None:
        self._kernel, self._theta, self._x = kernel, theta, x
        noise = kernel.split(theta)[2][2] + _JITTER
        covariance = np.add(*kernel.parts(theta, x, x))
        covariance[np.diag_indices(len(x))] += noise
        self._factor, self._noise = cholesky(covariance, lower=True), noise
        self._alpha = cho_solve((self._factor, True), target)
        precision = (solve_triangular(self._factor, np.eye(len(x)), lower=True) ** 2).sum(0)
        self.left_out_mean: Matrix = target - self._alpha / precision
        self.left_out_sd: Matrix = 1 / np.sqrt(precision)

    def predict(self, x: Matrix) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation, noise included, each of shape ``(networks,)``."""
        linear, smooth = self._kernel.parts(self._theta, x, self._x)
        cross = linear + smooth
        weights, _, (amplitude, constant, _) = self._kernel.split(self._theta)
        prior = constant + amplitude + self._noise
        if self._kernel.linear:
            prior = prior + x**2 @ weights[self._kernel.group_of]
        explained = (solve_triangular(self._factor, cross.T, lower=True) ** 2).sum(0)
        return cross @ self._alpha, np.sqrt(np.maximum(prior - explained, self._noise))
