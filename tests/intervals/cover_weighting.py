"""How often do the intervals of weighting hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.weighting import weighted_means
from tests.intervals.judge import Case

PEOPLE = pd.DataFrame(
    {
        "variable": ["channel", "channel", "region", "region", "region"],
        "level": ["phone", "chat", "north", "centre", "south"],
        "count": [600, 400, 500, 300, 200],
    }
)


def _raked(rng, n, column):
    """Chat answers half as often; satisfaction differs by channel and region."""
    chat = rng.random(n) < 0.25
    region = rng.choice(3, n, p=[0.4, 0.3, 0.3])
    survey = pd.DataFrame({"channel": np.where(chat, "chat", "phone")})
    survey["region"] = np.array(["north", "centre", "south"])[region]
    survey["satisfaction"] = 5 - chat + 0.5 * region + rng.exponential(1, n) - 1
    found = weighted_means(
        survey, outcomes={"satisfaction": ["satisfaction"]}, population=PEOPLE
    ).table.loc[0]
    weighted, plain = 5 - 0.4 + 0.5 * 0.7, 5 - 0.25 + 0.5 * 0.9
    truth = {"": weighted, "change_": weighted - plain}[column]
    return found[f"{column}low"], found[f"{column}high"], truth


def raked_mean(rng, n):
    return _raked(rng, n, "")


def change_by_raking(rng, n):
    return _raked(rng, n, "change_")


def given_weights(rng, n):
    """Half of the population is drawn three times as often, and weighs a third."""
    often = rng.random(n) < 0.75
    survey = pd.DataFrame({"weight": np.where(often, 1 / 3, 1.0)})
    survey["satisfaction"] = np.where(often, 5.0, 3.0) + rng.normal(size=n)
    found = weighted_means(survey, outcomes={"s": ["satisfaction"]}, weight="weight").table.loc[0]
    return found["low"], found["high"], 4.0


def clustered(rng, n):
    """25 sites that differ, with weights that differ."""
    site = np.arange(n) % 25
    survey = pd.DataFrame({"site": site.astype(str), "weight": rng.uniform(0.5, 2, n)})
    survey["satisfaction"] = 5 + rng.normal(size=25)[site] + rng.normal(size=n)
    found = weighted_means(
        survey, outcomes={"s": ["satisfaction"]}, weight="weight", cluster="site"
    ).table.loc[0]
    return found["low"], found["high"], 5.0


CASES = [
    Case("weighted_means, raked mean of skewed answers", raked_mean, replications=1000),
    Case("weighted_means, change by raking", change_by_raking, replications=1000),
    Case("weighted_means, weights given", given_weights, replications=1000),
    Case("weighted_means, 25 clusters", clustered, replications=1000),
]
