"""How often do the intervals of satisfaction, loyalty and their changes hold the truth?"""

import numpy as np
import pandas as pd

from sqm.methods.loyalty import (
    NPS,
    Questions,
    satisfaction_and_loyalty,
    smallest_change,
    wave_change,
)
from tests.intervals.judge import Case

ASKED = Questions(points=(1, 7), box=2)
SHARES = np.array([0.05, 0.05, 0.1, 0.1, 0.2, 0.3, 0.2])  # of 1 to 7: half satisfied
MEAN = float(SHARES @ np.arange(1, 8))
RECOMMEND = np.array([0.02] * 5 + [0.03, 0.03, 0.16, 0.16, 0.24, 0.28])  # 52 % less 16 %


def _limits(found, indicator):
    row = found.table.set_index("indicator").loc[indicator]
    return row["low"], row["high"]


def net_promoter_score(rng, n):
    answers = pd.DataFrame({"recommend": rng.choice(11, n, p=RECOMMEND)})
    return *_limits(satisfaction_and_loyalty(answers), NPS), 36.0


def extreme_net_promoter_score(rng, n):
    shares = np.array([0.05] + [0.0] * 6 + [0.0, 0.03, 0.42, 0.5])
    answers = pd.DataFrame({"recommend": rng.choice(11, n, p=shares)})
    return *_limits(satisfaction_and_loyalty(answers), NPS), 87.0


def share_satisfied(rng, n):
    answers = pd.DataFrame({"satisfaction": rng.choice(np.arange(1, 8), n, p=SHARES)})
    return *_limits(satisfaction_and_loyalty(answers, asked=ASKED), "satisfied"), 0.5


def weighted(rng, n, indicator, truth):
    """Young people answer half as often; weights of 2 and 1 make up for it."""
    young = rng.random(n) < 1 / 3
    up = rng.random(n) < np.where(young, 0.3, 0.7)
    answers = pd.DataFrame({"satisfaction": np.where(up, 7, 3), "recommend": np.where(up, 9, 5)})
    answers["weight"] = np.where(young, 2.0, 1.0)
    found = satisfaction_and_loyalty(answers, asked=ASKED, weight="weight")
    return *_limits(found, indicator), truth


def weighted_share(rng, n):
    return weighted(rng, n, "satisfied", 0.5)


def weighted_mean(rng, n):
    return weighted(rng, n, "mean satisfaction", 5.0)


def weighted_score(rng, n):
    return weighted(rng, n, NPS, 0.0)


def clustered_score(rng, n):
    """Forty sites whose level moves the answer: a normal score cut at the thirds."""
    site = np.arange(n) % 40
    feeling = rng.normal(size=40)[site] * 0.3**0.5 + rng.normal(size=n) * 0.7**0.5
    third = 0.4307272992954576  # the normal quantile of two thirds
    answers = pd.DataFrame(
        {"recommend": np.select([feeling > third, feeling < -third], [10, 2], 7)}
    )
    answers["site"] = site.astype(str)
    return *_limits(satisfaction_and_loyalty(answers, cluster="site"), NPS), 0.0


def _waves(first, second, **more):
    answers = pd.DataFrame(np.concatenate([first, second]), columns=["satisfaction"])
    answers["wave"] = ["1"] * len(first) + ["2"] * len(second)
    return answers.assign(**more)


def change_of_share(rng, n):
    later = SHARES + np.array([0, 0, 0, -0.05, -0.05, 0.05, 0.05])
    steps = np.arange(1, 8)
    answers = _waves(rng.choice(steps, n, p=SHARES), rng.choice(steps, n, p=later))
    return *_limits(wave_change(answers, asked=ASKED), "satisfied"), 0.1


def change_among_the_same(rng, n):
    """Half of each person's answer lasts; the other half is drawn anew."""
    steps = np.arange(1, 8)
    first = rng.choice(steps, n, p=SHARES)
    second = np.where(rng.random(n) < 0.5, first, rng.choice(steps, n, p=SHARES))
    who = np.tile(np.arange(n), 2).astype(str)
    found = wave_change(_waves(first, second, respondent=who), asked=ASKED)
    return *_limits(found, "satisfied"), 0.0


def change_of_score(rng, n):
    later = RECOMMEND + np.array([0.02] * 5 + [0, 0, 0, 0, -0.05, -0.05])
    answers = pd.concat(
        [
            pd.DataFrame({"recommend": rng.choice(11, n, p=RECOMMEND), "wave": "1"}),
            pd.DataFrame({"recommend": rng.choice(11, n, p=later), "wave": "2"}),
        ],
        ignore_index=True,
    )
    return *_limits(wave_change(answers), NPS), -20.0


def smallest_change_of_a_mean(rng, n):
    answers = pd.DataFrame({"satisfaction": rng.choice(np.arange(1, 8), n, p=SHARES)})
    spread = (SHARES @ (np.arange(1, 8) - MEAN) ** 2) ** 0.5
    z = 1.959963984540054 + 0.8416212335729143
    truth = z * 2**0.5 * spread / (n - 1) ** 0.5
    return *_limits(smallest_change(answers, asked=ASKED), "mean satisfaction"), truth


CASES = [
    Case("net promoter score, 52 % and 16 %", net_promoter_score),
    Case("net promoter score, 92 % and 5 %", extreme_net_promoter_score, said="conservative"),
    Case("share satisfied, 50 %", share_satisfied),
    Case("share satisfied, weighted", weighted_share),
    Case("mean satisfaction, weighted", weighted_mean),
    Case("net promoter score, weighted", weighted_score),
    Case("net promoter score, forty clusters", clustered_score, said="conservative"),
    Case("change of a share, different people", change_of_share),
    Case("change of a share, the same people", change_among_the_same),
    Case("change of the net promoter score", change_of_score),
    Case("smallest change of a mean", smallest_change_of_a_mean, said="approximate"),
]
