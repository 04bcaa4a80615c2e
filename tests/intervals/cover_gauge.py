"""How often do the intervals of a gauge study hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.methods.gauge import KEPT, POOLED, gauge_rr
from tests.intervals.judge import Case

SHAPES = {100: (10, 3, 3), 400: (20, 5, 4)}  # 90 and 400 measurements


def study(rng, n, interaction):
    """Standard deviations 1 of parts, 0.3 of operators, ``interaction``, 0.2 of the rest."""
    p, o, r = SHAPES[n]
    cube = (
        rng.normal(size=(p, 1, 1))
        + 0.3 * rng.normal(size=(1, o, 1))
        + interaction * rng.normal(size=(p, o, 1))
        + 0.2 * rng.normal(size=(p, o, r))
    )
    at = np.indices(cube.shape).reshape(3, -1)
    return pd.DataFrame({"part": at[0], "operator": at[1], "value": cube.ravel()})


def limits(rng, n, source, what, interaction):
    data = study(rng, n, interaction)
    table = gauge_rr(data, rng=rng, draws=2000).table
    model = KEPT if interaction else POOLED
    row = table[(table["model"] == model) & (table["source"] == source)].iloc[0]
    names = ("low", "high") if what == "variance" else (f"{what}_low", f"{what}_high")
    variances = {
        "repeatability": 0.04,
        "interaction": interaction**2,
        "operator": 0.09,
        "total gauge": 0.13 + interaction**2,
        "part to part": 1.0,
    }
    truth = variances[source]
    if what == "study_share":
        truth = np.sqrt(truth / (variances["total gauge"] + 1))
    return row[names[0]], row[names[1]], truth


def case(source, what, interaction, said="exact"):
    draw = partial(limits, source=source, what=what, interaction=interaction)
    name = f"{source}, {what}, interaction {interaction:g}"
    return Case(name, draw, said=said, replications=1000)


CASES = [
    case("repeatability", "variance", 0),
    case("operator", "variance", 0),
    case("part to part", "variance", 0),
    case("total gauge", "variance", 0),
    case("total gauge", "study_share", 0),
    case("interaction", "variance", 0.2),
    case("operator", "variance", 0.2),
    case("total gauge", "study_share", 0.2),
]
