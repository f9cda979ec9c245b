"""Mixtures of two Gaussians over numbers, fitted to many samples at once."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

COVARIANCE_TYPES = ('spherical', 'diag', 'full', 'tied')  # of numbers, the first three are the same
MIN_VARIANCE = 1e-5  # added to each variance
TOLERANCE = 1e-3  # a fit ends when its mean log likelihood rises by less
MAX_ITERATIONS = 100
ITERATIONS_BETWEEN_CHECKS = 5


class Mixture(NamedTuple):
    """Two components of each of B mixtures, (B, 2)."""

    weights: Tensor
    means: Tensor
    variances: Tensor

    def log_densities(self, values: Tensor) -> Tensor:
        """Values (B, M) -> (B, M, 2) logarithms of weight times density of both components."""
        means, variances = self.means[:, None], self.variances[:, None]
        # in logarithms, as densities of values far from a mean are zero in floating point
        squares = (values[..., None] - means).square() / variances
        return self.weights.log()[:, None] - 0.5 * (squares + variances.log() + math.log(2 * math.pi))


def fit_two_gaussians(values: Tensor, valid: Tensor, covariance_type: str = 'diag') -> Mixture:
    """Fit mixtures by expectation maximisation, from one component at the least and one at the greatest value.

    Both start with weight 0.5 and variance 1. The numbers are float64, so that differences of close values do not
    cancel out.

    Args:
        values: (B, M).
        valid: (B, M) bool, which of them count; the mixture of a row without any is not finite.
        covariance_type: ``'tied'``: both components have one variance; others: each has its own.

    Raises:
        ValueError: unknown ``covariance_type``.
    """
    if covariance_type not in COVARIANCE_TYPES:
        raise ValueError(f'covariance_type: expected one of {COVARIANCE_TYPES}, got {covariance_type!r}')
    values, counts = values.double().masked_fill(~valid, 0), valid.sum(1)
    low = values.masked_fill(~valid, torch.inf).amin(1)
    means = torch.stack([low, values.masked_fill(~valid, -torch.inf).amax(1)], dim=1)
    mixture = Mixture(torch.full_like(means, 0.5), means, torch.ones_like(means))
    likelihood, running = torch.full_like(low, -torch.inf), counts > 0
    for iteration in range(1, MAX_ITERATIONS + 1):
        logs = mixture.log_densities(values)
        totals = logs.logsumexp(2)
        shares = (logs - totals[..., None]).exp() * valid[..., None]
        # samples that have converged stay as they are, whatever the others of the batch still need
        better = _maximise(values, shares, counts, covariance_type == 'tied')
        mixture = Mixture(*(torch.where(running[:, None], new, old) for new, old in zip(better, mixture)))
        mean = (totals * valid).sum(1) / counts
        running, likelihood = running & ((mean - likelihood).abs() >= TOLERANCE), mean
        # a host-device synchronisation, for up to a hundred iterations less; those past the end change nothing
        if iteration % ITERATIONS_BETWEEN_CHECKS == 0 and not running.any():
            break
    return mixture


def _maximise(values: Tensor, shares: Tensor, counts: Tensor, tied: bool) -> Mixture:
    """The likeliest mixtures where both components have the ``shares`` (B, M, 2) of the values (B, M)."""
    # scikit-learn's constant, as published results were made with it: a component may have lost all of its values
    sizes = shares.sum(1) + 10 * torch.finfo(shares.dtype).eps
    means = (shares * values[..., None]).sum(1) / sizes
    # may come out just below 0 by cancellation, hence the clamp
    variances = (shares * values[..., None].square()).sum(1) / sizes - means.square()
    if tied:
        variances = ((variances * sizes).sum(1) / sizes.sum(1))[:, None].expand_as(means)
    return Mixture(sizes / sizes.sum(1, keepdim=True), means, variances.clamp(min=0) + MIN_VARIANCE)


def likely_members(values: Tensor, valid: Tensor, covariance_type: str = 'diag') -> Tensor:
    """Which values belong to the component that starts at the least one, up to its likeliest value.

    Args:
        values: (B, M), ascending in each row as far as they are valid.
        valid: (B, M) bool; rows with fewer than two valid values have no members.
        covariance_type: see :func:`fit_two_gaussians`.

    Returns:
        (B, M) bool.
    """
    if not valid.numel():
        return torch.zeros_like(valid)
    logs = fit_two_gaussians(values, valid, covariance_type).log_densities(values.double().masked_fill(~valid, 0))
    first = valid & (logs[..., 0] >= logs[..., 1])
    likeliest = logs.logsumexp(2).masked_fill(~first, -torch.inf).argmax(1)
    until = torch.arange(values.size(1), device=values.device) <= likeliest[:, None]
    return first & until & (valid.sum(1, keepdim=True) > 1)
