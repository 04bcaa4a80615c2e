"""How often do the intervals of need_sources hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.need_sources import entropy_weights
from tests.intervals.judge import Case

SPREAD = np.array([0.45, 0.3, 0.2])  # of the logs: mean(x log x) / mean(x) - log mean(x) is s^2 / 2


def entropy(rng, n):
    scores = pd.DataFrame(np.exp(rng.normal(size=(n, 3)) * SPREAD), columns=list("abc"))
    row = entropy_weights(scores).table.set_index("need").loc["b"]
    return row["low"], row["high"], SPREAD[1] ** 2 / (SPREAD**2).sum()


CASES = [
    Case("entropy weight, log-normal scores", entropy, said="approximate"),
]
