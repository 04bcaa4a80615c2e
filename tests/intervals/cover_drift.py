"""How often do the intervals of agreement over the months hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.drift import agreement_drift
from tests.intervals.cover_agreement import joint, ratings
from tests.intervals.judge import Case


def drift(rng, n):
    months = rng.random(n) * 10
    alike = rng.random(n) < 0.95 - 0.03 * months
    coded = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(months * 30.4375, unit="D")
    data = pd.DataFrame({"coded": coded, "coder_a": "x", "coder_b": np.where(alike, "x", "y")})
    found = agreement_drift(data)
    return found.low, found.high, -0.03


def month(rng, n):
    data = ratings(rng, n, 3).assign(coded=pd.Timestamp("2025-01-01", tz="UTC"))
    later = data.head(1).assign(coded=pd.Timestamp("2025-02-01", tz="UTC"))
    table = agreement_drift(
        pd.concat([data, later]), raters=["coder_a", "coder_b", "coder_c"]
    ).table
    return table["low"][0], table["high"][0], float(np.trace(joint()))


CASES = [
    Case("agreement of a month, 3 raters", month, replications=600),
    Case("drift a month, HC3", drift),
]
