"""How often do the effects and the change of the usual chart hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd

from sqm.clock import Calendar
from sqm.methods import usual_chart
from sqm.usual_level import predicted
from tests.intervals.judge import Case

AFTER = 30  # days since the baseline
LIFT = 0.7  # of Mondays, on the scale of logs


def _series(data, extra, rng, n):
    days = pd.date_range("2024-01-01", periods=n + AFTER, freq="D")
    monday = (days.day_of_week == 0).astype(float)
    wide = rng.gamma(1 / extra, extra, len(days)) if extra else np.ones(len(days))
    if data == "count":
        cases, value = np.ones(len(days)), rng.poisson(20 * np.exp(LIFT * monday) * wide)
    else:
        cases, odds = rng.integers(80, 160, len(days)), 0.2 * np.exp(LIFT * monday)
        share = odds / (1 + odds)
        value = rng.binomial(cases, share if not extra else _beta(share, extra, rng))
    rows = {"data": data, "period": days, "n": cases.astype(float), "value": value.astype(float)}
    return usual_chart._ready(pd.DataFrame(rows)), np.arange(len(days)) < n


def _beta(share, extra, rng):
    size = 1 / extra - 1
    return rng.beta(share * size, (1 - share) * size)


def lift_of_a_weekday(data, extra, rng, n):
    rows, base = _series(data, extra, rng, n)
    model = usual_chart._model(rows, base, Calendar())
    found = {name: limits for name, *limits in usual_chart._effects(model, 0.95)}
    _, low, high = found["Mon"]
    return low, high, np.exp(LIFT * 6 / 7) - 1


def change_since(data, extra, rng, n):
    rows, base = _series(data, extra, rng, n)
    model = usual_chart._model(rows, base, Calendar())
    usual_events = predicted(model.usual, rows["period"], n=model.exposure)[0]
    after = rows.assign(usual_events=usual_events)[~base]
    _, low, high = usual_chart._change(after, model, ~base, 0.95)
    return low, high, 0.0


CASES = [
    Case(f"usual_chart {draw.__name__}, {data}, extra {extra}", partial(draw, data, extra), said)
    for draw in (lift_of_a_weekday, change_since)
    for data, extra, said in (
        ("count", 0.0, "conservative"),
        ("count", 0.05, "approximate"),
        ("share", 0.01, "approximate"),
    )
]
