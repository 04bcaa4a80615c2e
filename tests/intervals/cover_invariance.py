"""How often do the intervals of invariance hold the truth?"""

import numpy as np
import pandas as pd

from sqm.checks import Refusal
from sqm.methods.invariance import mean_differences
from tests.intervals.judge import Case

ITEMS = [f"q{i}" for i in range(8)]
DIMENSIONS = {"s": ITEMS[:4], "t": ITEMS[4:]}
LOADINGS = np.array([0.8, 0.7, 0.6, 0.7] * 2)
TRUTH = 0.5


def latent_mean_difference(rng, n):
    """n respondents in each of two waves; drawn anew where the rule finds them read differently."""
    factors = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=2 * n)
    factors[n:, 0] += TRUTH
    error = rng.normal(size=(2 * n, 8)) * np.sqrt(1 - LOADINGS**2)
    answers = pd.DataFrame(factors[:, [0] * 4 + [1] * 4] * LOADINGS + error, columns=ITEMS)
    answers["wave"] = ["a"] * n + ["b"] * n
    try:
        row = mean_differences(answers, dimensions=DIMENSIONS, group="wave").table.loc[0]
    except Refusal:
        return latent_mean_difference(rng, n)
    return row["low"], row["high"], TRUTH


CASES = [Case("mean_differences, two waves, normal", latent_mean_difference, replications=1500)]
