"""How often do the intervals of a two-level trial hold the effects that were put in?"""

from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from sqm.methods.factorial import factorial_effects
from tests.intervals.judge import Case

TRUE = {"a": 2.0, "b": -1.0}  # the other effects are nought


def draw(effect, active, replicates, broken, rng, n):
    """A full plan of n combinations, one effect of it."""
    names = "abcd"[: int(np.log2(n))]
    signs = pd.DataFrame(list(product([-1, 1], repeat=len(names))), columns=list(names))
    runs = pd.concat([signs] * replicates, ignore_index=True)
    truth = {name: TRUE.get(name, 0.0) * active for name in names}
    mean = sum(runs[name] * size / 2 for name, size in truth.items())
    result = mean + rng.normal(size=len(runs))
    if broken:
        result[[1, len(signs)]] = np.nan
    found = factorial_effects(
        runs.assign(result=result), factors={name: [-1, 1] for name in names}
    ).table.set_index("effect")
    return found.loc[effect, "low"], found.loc[effect, "high"], truth.get(effect, 0.0)


def bend(rng, n):
    signs = pd.DataFrame(list(product([-1, 1], repeat=int(np.log2(n)))))
    signs.columns = [f"f{i}" for i in signs]
    runs = pd.concat([signs, pd.DataFrame(0, index=range(4), columns=signs.columns)])
    runs = runs.assign(result=rng.normal(size=len(runs)))
    found = factorial_effects(runs, factors={name: [-1, 1] for name in signs})
    return found.curvature_low, found.curvature_high, 0.0


CASES = [
    Case(
        "factorial: effect a, made twice",
        partial(draw, "a", 1, 2, False),
        replications=800,
        sizes=(8, 16),
    ),
    Case(
        "factorial: a x b, made twice, broken",
        partial(draw, "a x b", 1, 2, True),
        replications=800,
        sizes=(8, 16),
    ),
    Case(
        "factorial: Lenth, nothing matters",
        partial(draw, "a", 0, 1, False),
        replications=800,
        sizes=(8, 16),
    ),
    Case(
        "factorial: Lenth, two matter",
        partial(draw, "a", 1, 1, False),
        said="conservative",
        replications=800,
        sizes=(8, 16),
    ),
    Case("factorial: bend of the middle", bend, replications=800, sizes=(8, 16)),
]
