"""How often do the intervals of reliability hold the truth?"""

import pandas as pd

from sqm.methods.reliability import cronbach_alpha
from tests.intervals.judge import Case


def alpha_of_parallel_items(rng, n):
    """Four parallel items that correlate 0.4: alpha 8/11."""
    answers = 0.4**0.5 * rng.normal(size=(n, 1)) + 0.6**0.5 * rng.normal(size=(n, 4))
    found = cronbach_alpha(
        pd.DataFrame(answers, columns=list("abcd")), dimensions={"s": list("abcd")}
    )
    row = found.table.loc[0]
    return row["low"], row["high"], 8 / 11


CASES = [Case("alpha, Feldt, parallel normal items", alpha_of_parallel_items)]
