"""How often do the intervals of the five gaps hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.gap_model import gap_model
from tests.intervals.judge import Case

DIMENSIONS = {"prompt": ["p1"], "kind": ["p2"]}
PAIRS = {"p1": "e1", "p2": "e2"}


def _gap(rng, n, judges, gap):
    """Customers expect 5 and see 4, managers believe 4.5; judges differ by 0.8."""
    answers = pd.DataFrame(rng.normal(5, 1, size=(n, 4)), columns=["p1", "p2", "e1", "e2"])
    answers[["p1", "p2"]] -= 1
    level = rng.normal(4.5, 0.8, size=(judges, 1)) + rng.normal(0, 0.4, size=(judges, 2))
    beliefs = pd.DataFrame(
        {
            "judge": np.repeat(np.arange(judges), 2).astype(str),
            "dimension": ["prompt", "kind"] * judges,
            "score": level.ravel(),
        }
    )
    found = gap_model(
        answers,
        dimensions=DIMENSIONS,
        expectations=PAIRS,
        beliefs=beliefs,
        points=(-20, 20),
        draws=10,
        rng=rng,
    )
    table = found.table[(found.table["dimension"] == "all") & (found.table["site"] == "all")]
    row = table.set_index("gap").loc[gap]
    return row["low"], row["high"]


def knowledge_gap_of_five_managers(rng, n):
    return *_gap(rng, n, 5, 1), -0.5


def knowledge_gap_of_forty_managers(rng, n):
    return *_gap(rng, n, 40, 1), -0.5


def customer_gap(rng, n):
    return *_gap(rng, n, 5, 5), -1.0


CASES = [
    Case("gap 1 with five managers", knowledge_gap_of_five_managers, replications=500),
    Case("gap 1 with forty managers", knowledge_gap_of_forty_managers, replications=500),
    Case("gap 5", customer_gap, replications=500),
]
