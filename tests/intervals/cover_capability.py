"""How often do the intervals of capability hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from sqm.methods.capability import (
    defects_per_unit,
    dpmo_table,
    normal_capability,
    percentile_capability,
    tolerance_limits,
)
from tests.intervals.judge import Case


def sigma(rng, n):
    """On average over shares: at a single one a count's lattice moves the coverage."""
    share = rng.uniform(0.05, 0.3)
    counts = pd.DataFrame({"ctq": ["a"], "n": [n], "defects": [rng.binomial(n, share)]})
    row = dpmo_table(counts, counted_as=[1]).table.loc[0]
    return row["low"], row["high"], 1.5 + stats.norm.isf(share)


def per_unit(rng, n):
    steps = pd.DataFrame({"step": ["a"], "units": [n], "defects": [rng.poisson(0.05 * n)]})
    row = defects_per_unit(steps).table.loc[0]
    return row["low"], row["high"], 0.05


def index(rng, n, name, truth, within="pooled"):
    """Means of 5 and standard deviation 1 in twenty days; limits 0 and 9, target 5."""
    data = pd.DataFrame({"x": rng.normal(5, 1, n), "day": np.repeat(np.arange(n // 5), 5)})
    found = normal_capability(
        data, measure="x", lower=0, upper=9, target=5, subgroup="day", within=within
    )
    row = found.table.set_index("index").loc[name]
    return row["low"], row["high"], truth


def percentiles(rng, n, tail):
    """Lognormal times, limit 9."""
    data = pd.DataFrame({"x": rng.lognormal(size=n)})
    found = percentile_capability(data, measure="x", upper=9, tail=tail, rng=rng, draws=1000)
    return found.low, found.high, 8 / (np.exp(stats.norm.isf(tail)) - 1)


def by_share(rng, n):
    """On average over limits."""
    data, limit = pd.DataFrame({"x": rng.lognormal(size=n)}), rng.uniform(1.5, 5)
    found = percentile_capability(data, measure="x", upper=limit, rng=rng, draws=10)
    row = found.table.loc[0]
    return row["by_share_low"], row["by_share_high"], np.log(limit) / 3


def upper_limit(rng, n, method):
    row = tolerance_limits(pd.DataFrame({"x": rng.normal(size=n)}), measure="x").table
    high = row.set_index("method").loc[method, "high"]
    return -np.inf, high, stats.norm.ppf(0.95)


def both_limits(rng, n):
    found = tolerance_limits(pd.DataFrame({"x": rng.normal(size=n)}), measure="x", side="two-sided")
    row = found.table.set_index("method").loc["normal"]
    return 0.95, 1.0, stats.norm.cdf(row["high"]) - stats.norm.cdf(row["low"])


CASES = [
    Case("sigma level, Wilson, shares 5 to 30 %", sigma),
    Case("defects per unit, Garwood", per_unit, said="conservative"),
    Case("Pp, normal", partial(index, name="Pp", truth=1.5)),
    Case("Ppk, Bissell", partial(index, name="Ppk", truth=4 / 3)),
    Case("Cpk within subgroups, pooled", partial(index, name="Cpk", truth=4 / 3)),
    Case("Cpm, Boyles", partial(index, name="Cpm", truth=1.5)),
    Case("Ppk by percentiles, tail 0.05", partial(percentiles, tail=0.05), said="conservative"),
    Case("Ppk by percentiles", partial(percentiles, tail=0.00135), sizes=(5000, 20000)),
    Case("index by share", by_share),
    Case("tolerance limit, normal", partial(upper_limit, method="normal")),
    Case(
        "tolerance limit, any shape",
        partial(upper_limit, method="any shape"),
        said="conservative",
    ),
    Case("two tolerance limits, normal", both_limits, replications=1000),
]
