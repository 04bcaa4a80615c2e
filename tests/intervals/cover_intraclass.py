"""How often do the intervals of intraclass correlations hold the truth?"""

from functools import partial

import numpy as np

from sqm.methods import intraclass
from sqm.methods.intraclass import stepped_up
from tests.intervals.judge import Case


def _rated(form, rater_variance, k, rng, n):
    """Targets have variance 1, errors 0.5; the truth by definition.

    The room's arithmetic is called below its table of scores, which would take the time.
    """
    values = rng.normal(size=(n, 1)) + rng.normal(scale=0.5**0.5, size=(n, k))
    values += rng.normal(scale=rater_variance**0.5, size=(1 if form[:4] != "ICC1" else n, k))
    one = 1 / (1.5 + (0 if form.startswith("ICC3") else rater_variance))
    between, within, raters, error = intraclass._mean_squares(values)
    if form.startswith("ICC2"):
        low, high = intraclass._random_raters(between, raters, error, n, k, 0.95)
    else:
        other, df = (within, n * (k - 1)) if form == "ICC1" else (error, (n - 1) * (k - 1))
        _, low, high = intraclass._one_way(between, other, n, k, df, 0.95)
    return tuple(stepped_up(x, k) for x in (low, high, one)) if form[4:] else (low, high, one)


def _again(what, shift, rng, n):
    """Two occasions, the second higher; trait variance 1, error variance 0.25."""
    values = rng.normal(size=(n, 1)) + rng.normal(scale=0.5, size=(n, 2)) + np.array([0, shift])
    found = intraclass._repeat(values, 0.95)
    if what == "icc":  # the shift counts as disagreement
        return found["low"], found["high"], 1 / (1.25 + shift**2 / 2)
    truth = {"change": shift, "error": 0.5}[what]
    return found[f"{what}_low"], found[f"{what}_high"], truth


CASES = [
    Case("ICC(1,1), 4 raters anew for each target", partial(_rated, "ICC1", 0.2, 4)),
    Case("ICC(3,1), 4 raters", partial(_rated, "ICC3", 0.2, 4)),
    Case("ICC(3,k), 2 raters", partial(_rated, "ICC3k", 0.2, 2)),
    Case("ICC(2,1), 4 raters, variance 0.2", partial(_rated, "ICC2", 0.2, 4), "conservative"),
    Case("ICC(2,1), 2 raters, variance 0.2", partial(_rated, "ICC2", 0.2, 2), "conservative"),
    Case("ICC(2,1), 2 raters alike", partial(_rated, "ICC2", 0.0, 2), "conservative"),
    Case("ICC(2,k), 3 raters, variance 0.1", partial(_rated, "ICC2k", 0.1, 3), "conservative"),
    Case("retest ICC, shift 0.3", partial(_again, "icc", 0.3)),
    Case("retest ICC, no shift", partial(_again, "icc", 0.0)),
    Case("retest, change of the mean", partial(_again, "change", 0.3)),
    Case("retest, standard error of measurement", partial(_again, "error", 0.3)),
]
