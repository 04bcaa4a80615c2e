"""How often do the intervals of agreement with a standard hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.standard import standard_agreement
from tests.intervals.judge import Case


def right(rng, n):
    data = pd.DataFrame(
        {
            "complaint": np.arange(n),
            "standard": "x",
            "coder_a": np.where(rng.random(n) < 0.9, "x", "y"),
        }
    )
    row = standard_agreement(data, raters=["coder_a"]).table.set_index("assessment")
    low, high = row.loc["vs standard", ["low", "high"]]
    return low, high, 0.9


CASES = [
    Case("right by the standard, Clopper and Pearson", right, said="conservative"),
]
