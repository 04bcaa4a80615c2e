"""How long would customers wait if nobody answered?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sqm.survival import kaplan_meier, limits

# Shapes tried for the Weibull patience; 1 is the exponential.
SHAPES = np.geomspace(0.25, 4.0, 97)
PATIENCE_UNIT_S = 600.0  # keeps powers of waits within floating range
SHORTEST_S = 0.5  # a wait of less is taken for so much: logarithms need it
AT_ONCE_S = 1.0  # who leaves sooner did not wait at all
FEWEST_WAITING = 30  # the far tail of the curve rests on a handful of customers
POINTS = 60  # of the curve that are kept


@dataclass(frozen=True, eq=False)
class Patience:
    """What patience is estimated from.

    Attributes
    ----------
    leavers, log_sum, power_sum : ndarray, shape (blocks[, shapes])
        Customers who left, the logarithms of their waits, and powers of everybody's waits.
    at_once : ndarray, shape (blocks,)
        Customers who left within a second.
    survival : tuple of four tuples of float
        Kaplan-Meier: seconds, share still waiting if nobody were served, low and high (95 %).
    naive_s : float
        Mean wait of those who left; NaN if nobody did.
    """

    leavers: np.ndarray
    log_sum: np.ndarray
    power_sum: np.ndarray
    at_once: np.ndarray
    survival: tuple[tuple[float, ...], ...]
    naive_s: float


def learn_patience(
    waited: np.ndarray, left: np.ndarray, block: np.ndarray, blocks: int
) -> Patience:
    """Sum up the waits of everybody; to be served ends the observation of a customer's patience.

    Parameters
    ----------
    waited, left, block : ndarray, shape (contacts,)
        Seconds; whether the customer left; week (or day) from 0.
    blocks : int
    """
    t = np.where(left, np.maximum(waited, SHORTEST_S), waited) / PATIENCE_UNIT_S
    with np.errstate(divide="ignore"):
        logs = np.log(t)
    return Patience(
        leavers=np.bincount(block, weights=left, minlength=blocks),
        log_sum=np.bincount(block[left], weights=logs[left], minlength=blocks),
        power_sum=np.column_stack(
            [np.bincount(block, weights=np.exp(k * logs), minlength=blocks) for k in SHAPES]
        ),
        at_once=np.bincount(block, weights=left & (waited < AT_ONCE_S), minlength=blocks),
        survival=_still_waiting(waited, left, block),
        naive_s=float(waited[left].mean()) if left.any() else np.nan,
    )


def _still_waiting(waited, left, block, *, confidence: float = 0.95):
    """Share still waiting by time if nobody were served, weeks allowed to be alike."""
    if not left.any():
        return (), (), (), ()
    curve = kaplan_meier(waited.astype(float), ~left, block)
    times = curve.times[1:][curve.at_risk[1:] >= FEWEST_WAITING]
    if not len(times):
        return (), (), (), ()
    wanted = np.linspace(times[0], times[-1], POINTS)
    times = times[np.unique(np.searchsorted(times, wanted, side="right") - 1)]
    share = curve.share[np.searchsorted(curve.times, times, side="right") - 1]
    low, high = limits(curve, times, confidence)
    return tuple(tuple(each.tolist()) for each in (times, share, low, high))


def weibull(patience: Patience, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shape and scale of Weibull patience, once for each set of weights of the blocks.

    Notes
    -----
    Maximum likelihood with censoring: a profile over the shapes tried, the scale in closed form.
    """
    left, logs = weights @ patience.leavers, weights @ patience.log_sum
    if not patience.leavers.any():
        return np.ones(len(weights)), np.full(len(weights), np.inf)
    left = np.maximum(left, 1e-9)  # a draw may all but leave out the only weeks with leavers
    power = weights @ patience.power_sum / left[:, None]  # scale ** shape
    likelihood = left[:, None] * (np.log(SHAPES) - np.log(power)) + (SHAPES - 1) * logs[:, None]
    best = likelihood.argmax(axis=1).clip(1, len(SHAPES) - 2)
    row, step = np.arange(len(best)), np.log(SHAPES[1] / SHAPES[0])
    below, here, above = (likelihood[row, best + i] for i in (-1, 0, 1))
    # between the shapes tried both the likelihood and log(power) are near enough parabolas
    at = np.clip((below - above) / (2 * (below - 2 * here + above)), -1, 1)
    shape = SHAPES[best] * np.exp(at * step)
    below, here, above = (np.log(power[row, best + i]) for i in (-1, 0, 1))
    power = np.exp(here + at * (above - below) / 2 + at**2 * (below - 2 * here + above) / 2)
    return shape, PATIENCE_UNIT_S * power ** (1 / shape)
