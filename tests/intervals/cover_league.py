"""How often do the intervals of the league hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from sqm import unit_spread
from tests.intervals.judge import Case

SIZES = (12, 60)  # units
DRAWS = 600


def _found(rng, units, share, spread):
    n = np.exp(rng.uniform(np.log(300), np.log(3_000), units)).astype(int)
    level = logit(share) + spread * rng.normal(size=units)
    value = rng.binomial(n, expit(level)).astype(float)
    table = pd.DataFrame({"unit": [f"{i}" for i in range(units)], "n": n, "value": value})
    return unit_spread.units_from(table, kind="share", smallest=0, source="units"), level


def level_of_a_unit(share, spread, rng, n):
    """The level of one unit, taken at random: no other choice than the first."""
    found, level = _found(rng, n, share, spread)
    drawn = unit_spread.levels_of(found, draws=DRAWS, rng=rng).effect[:, 0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return low, high, level[0] - logit(found.expected[0] / found.n[0])


def rank_of_a_unit(share, spread, rng, n):
    found, level = _found(rng, n, share, spread)
    rank = stats.rankdata(unit_spread.levels_of(found, draws=DRAWS, rng=rng).effect, axis=1)[:, 0]
    low, high = np.quantile(rank, [0.025, 0.975])
    return np.floor(low), np.ceil(high), stats.rankdata(level)[0]


def spread_of_units(share, spread, rng, n):
    found, _ = _found(rng, n, share, spread)
    low, high = np.quantile(
        unit_spread.levels_of(found, draws=DRAWS, rng=rng).spread, [0.025, 0.975]
    )
    return low, high, spread


def _cases():
    for share, spread in ((0.7, 0.25), (0.03, 0.25), (0.03, 0.05)):
        where = f"share {share}, spread {spread}"
        for name, draw in (("level", level_of_a_unit), ("rank", rank_of_a_unit)):
            yield Case(
                f"{name} of a unit, {where}",
                partial(draw, share, spread),
                "conservative",
                sizes=SIZES,
                replications=200,
            )
    yield Case(
        "spread of units, share 0.7",
        partial(spread_of_units, 0.7, 0.25),
        "approximate",
        sizes=SIZES,
        replications=200,
    )


CASES = list(_cases())
