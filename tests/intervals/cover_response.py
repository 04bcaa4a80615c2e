"""How often do the intervals of response hold the truth?"""

import numpy as np
import pandas as pd
from scipy import stats

from sqm.methods.response import late_answers, response_rate, tipping_point
from tests.intervals.judge import Case


def trend_over_twelve_months(rng, n):
    """Rates that fall from 50 to 30 per cent on the logit, spread evenly over the months."""
    month = np.arange(n) % 12
    ends = np.log([0.5 / 0.5, 0.3 / 0.7])
    rate = 1 / (1 + np.exp(-(ends[0] + (ends[1] - ends[0]) * month / 11)))
    data = pd.DataFrame({"answered": rng.random(n) < rate})
    data["invited"] = pd.Timestamp("2025-01-15") + month * pd.Timedelta(days=30.4)
    found = response_rate(data, by=())
    return found.change_low, found.change_high, -0.2


def rate_of_clustered_sites(rng, n):
    """25 sites drawn from many whose rates follow a beta with mean 0.4."""
    sites = np.arange(n) % 25
    data = pd.DataFrame({"site": sites, "answered": rng.random(n) < rng.beta(4, 6, 25)[sites]})
    found = response_rate(data, by=(), cluster="site")
    return found.low, found.high, 0.4


def tipping_mean(rng, n):
    """A third of those invited answer, with mean m: the silent tip it at (5 - m/3) 3/2."""
    score = np.clip(np.round(rng.normal(5.5, 1.5, n)), 1, 7)[rng.random(n) < 1 / 3]
    at = np.arange(1, 8)
    edges = np.concatenate([[-np.inf], at[:-1] + 0.5, [np.inf]])
    mass = np.diff(stats.norm.cdf((edges - 5.5) / 1.5))
    found = tipping_point(
        pd.DataFrame({"satisfaction": score}), invited=n, threshold=5, points=(1, 7)
    )
    return found.low, found.high, (5 - (at * mass).sum() / 3) * 1.5


def tipping_share(rng, n):
    """40 per cent answer, 80 per cent of them satisfied; threshold 0.7: (0.7 - 0.32) / 0.6."""
    answered = int((rng.random(n) < 0.4).sum())
    score = np.where(rng.random(answered) < 0.8, 7.0, 2.0)
    found = tipping_point(
        pd.DataFrame({"satisfaction": score}),
        invited=n,
        threshold=0.7,
        points=(1, 7),
        satisfied_from=6,
    )
    return found.low, found.high, 0.38 / 0.6


def late_less_early(rng, n):
    """Satisfaction falls by a point over uniform days: thirds differ by two thirds of it."""
    day = pd.Timestamp("2025-01-01")
    waited = rng.random(n)
    survey = pd.DataFrame({"respondent": np.arange(n).astype(str)})
    survey["answered"] = day + pd.to_timedelta(waited * 30, unit="D")
    survey["satisfaction"] = 5 - waited + rng.normal(size=n)
    found = late_answers(survey, invited=survey[["respondent"]].assign(invited=day))
    return found.low, found.high, -2 / 3


CASES = [
    Case("response_rate, trend of twelve months", trend_over_twelve_months, replications=6000),
    Case("response_rate, 25 alike sites", rate_of_clustered_sites),
    Case("tipping_point, mean of 1 to 7", tipping_mean),
    Case("tipping_point, share", tipping_share),
    Case("late_answers, late less early", late_less_early),
]
