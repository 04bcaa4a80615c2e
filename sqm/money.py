"""How is an amount of money written that nobody knows for certain?"""

from __future__ import annotations

import numpy as np
from matplotlib.axis import Axis

from sqm.checks import Problem
from sqm.interval import digits_for, spell

SCALES = ((1e6, 1e6, "million "), (1e4, 1e3, "thousand "))  # from which size on, unit, its name


def need_currency(currency: object) -> str:
    """Insist that money has a currency, and hand back its name.

    Examples
    --------
    >>> need_currency(" EUR ")
    'EUR'
    """
    if currency is None or not str(currency).strip():
        raise Problem("Money has no currency.", "name it under `data: currency`, for example EUR.")
    return str(currency).strip()


def limits(draws: np.ndarray, *, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The limits between which a further draw would lie, along the last axis.

    Notes
    -----
    Quantiles at the positions p(n + 1) of the ordered draws (Weibull): with few draws too a
    further one lies between them with the probability named.  Where there are not enough draws,
    the least and the largest are the limits.

    Examples
    --------
    Of 19 draws, the first and the last leave one in twenty on either side.

    >>> [float(limit) for limit in limits(np.arange(1.0, 20.0), confidence=0.9)]
    [1.0, 19.0]
    """
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(draws, tails, axis=-1, method="weibull")
    return low, high


def spell_money(
    estimate: float, low: float, high: float, *, confidence: float, currency: str
) -> str:
    """Write an amount with its interval, in thousands or millions where it is large.

    Examples
    --------
    >>> spell_money(1_234_567, 1_100_000, 1_400_000, confidence=0.9, currency="EUR")
    '1.23 million EUR (90% interval 1.10 to 1.40)'
    >>> spell_money(-52_345, -61_000, -43_000, confidence=0.9, currency="EUR")
    '-52.3 thousand EUR (90% interval -61.0 to -43.0)'
    """
    scale, word = _scale(max(abs(estimate), abs(low), abs(high)))
    return spell(
        estimate / scale,
        low / scale,
        high / scale,
        confidence=confidence,
        digits=_digits(low / scale, high / scale, large=scale > 1),
        unit=word + currency,
    )


def amount(value: float, *, currency: str) -> str:
    """Write an amount alone, to three figures or to the whole unit.

    Examples
    --------
    >>> amount(1_234_567, currency="EUR"), amount(812.4, currency="EUR")
    ('1.23 million EUR', '812 EUR')
    """
    scale, word = _scale(abs(value))
    figure = value / scale
    digits = max(2 - int(np.log10(max(abs(figure), 1.0))), 0) if scale > 1 else 0
    return f"{figure + 0.0:,.{digits}f} {word}{currency}"


def on_axis(axis: Axis, *, currency: str) -> str:
    """Write an axis of amounts in thousands or millions where it is long, and name that unit."""
    scale, word = _scale(max(map(abs, axis.get_view_interval())))
    axis.set_major_formatter(lambda value, _: f"{value / scale + 0.0:g}")
    return word + currency


def _scale(size: float) -> tuple[float, str]:
    return next(((unit, word) for least, unit, word in SCALES if size >= least), (1.0, ""))


def _digits(low: float, high: float, *, large: bool) -> int:
    """Two figures to half the interval; whole units where the amounts are small anyway."""
    return min(digits_for(low, high), 2) if large else 0
