"""How often do the intervals of corrected defect rates hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.methods.misclassification import corrected_rate
from tests.intervals.judge import Case


def recorded(rng, records, share, sensitivity, specificity):
    """Records as counts, and as an audit of all of them."""
    true = rng.random(records) < share
    said = np.where(true, rng.random(records) < sensitivity, rng.random(records) > specificity)
    counts = pd.DataFrame({"ctq": ["a"], "n": [records], "defects": [int(said.sum())]})
    return counts, pd.DataFrame({"ctq": "a", "recorded": said, "found": true})


def audited(rng, n, share, sensitivity, specificity, drawn, records=3000):
    """``records`` counted, ``n`` of them audited; "elsewhere": of others, at random."""
    if drawn == "elsewhere":
        counts, _ = recorded(rng, records, share, sensitivity, specificity)
        _, audit = recorded(rng, n, share, sensitivity, specificity)
        row = corrected_rate(audit, counts=counts).table.loc[0]
        return row["low"], row["high"], share
    counts, audit = recorded(rng, records, share, sensitivity, specificity)
    said = audit["recorded"].to_numpy()
    if drawn == "at random":
        chosen = np.arange(n)
    else:
        half = n // 2
        chosen = np.r_[np.flatnonzero(said)[:half], np.flatnonzero(~said)[:half]]
    row = corrected_rate(audit.iloc[chosen], counts=counts, drawn=drawn).table.loc[0]
    return row["low"], row["high"], share


def case(share, sensitivity, specificity, drawn):
    draw = partial(
        audited, share=share, sensitivity=sensitivity, specificity=specificity, drawn=drawn
    )
    name = f"defects {share:.0%}, sensitivity {sensitivity:g}, specificity {specificity:g}, {drawn}"
    return Case(name, draw, said="conservative")


CASES = [
    case(0.2, 0.85, 0.95, "at random"),
    case(0.2, 0.85, 0.95, "elsewhere"),
    case(0.4, 0.8, 0.9, "elsewhere"),
    case(0.2, 0.85, 0.95, "by record"),
    case(0.05, 0.7, 0.98, "by record"),
]
