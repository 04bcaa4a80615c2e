"""Is the rate of false alarms that sqm states the rate that happens?

    python -m tests.benchmarks.false_alarms [data sets]

Steady processes of known law, baselines of 24 and 52 periods, 26 periods after them, of which the
last 13 are watched, as on a chart that has run for a while.  Of each data set the chart is chosen
and the law fitted as for a study; the chance it states for each rule set, averaged over the data
sets that got this chart, stands beside the share of charts that then signal in those 13 periods of
the true process, with the limits of that same baseline.  A chart that the
choice rule hardly ever takes for a process is left out, and how often each is taken is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sqm import chart_limits, signal_rules, steady_process
from sqm.checks import Refusal
from sqm.methods import chart_choice

BASELINES, AFTER, WATCHED = (24, 52), 26, 13
DATA_SETS, STATED_FOR, SIMULATIONS, FUTURES = 800, 200, 400, 20
SHOWN = 0.1  # share of the data sets in which a chart is taken, from which it is in the table
WITHIN = 0.1
RNG = np.random.Generator
Draw = Callable[[RNG, tuple[int, ...], np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Process:
    """A process whose law does not change.

    Attributes
    ----------
    name, data : str
    n : float
    draw : callable
        ``draw(rng, shape, at)``: values of independent periods, ``at`` their places in time.
    correlation : float
        Of neighbours, for a normal process.
    """

    name: str
    data: str
    draw: Draw
    n: float = 1.0
    correlation: float = 0.0
    sd: float = np.nan


def _negative_binomial(rng: RNG, shape: tuple, at: np.ndarray) -> np.ndarray:
    return rng.poisson(rng.gamma(10.0, 2.0, shape))  # mean 20, variance 60


def _mildly_spread(rng: RNG, shape: tuple, at: np.ndarray) -> np.ndarray:
    return rng.poisson(rng.gamma(40.0, 0.5, shape))  # mean 20, variance 30


def _beta_binomial(rng: RNG, shape: tuple, at: np.ndarray) -> np.ndarray:
    return rng.binomial(200, rng.beta(9.9, 89.1, shape))  # variance 3 times that of counting


PROCESSES = (
    Process("normal", "mean", lambda rng, shape, at: rng.normal(10, 1, shape)),
    Process("skewed (gamma, shape 2)", "mean", lambda rng, shape, at: rng.gamma(2, 1, shape)),
    Process("Poisson, mean 9", "count", lambda rng, shape, at: rng.poisson(9, shape)),
    Process("counts, variance 3 times", "count", _negative_binomial),
    Process("counts, variance 1.5 times", "count", _mildly_spread),
    Process("shares, binomial", "share", lambda rng, shape, at: rng.binomial(200, 0.1, shape), 200),
    Process("shares, variance 3 times", "share", _beta_binomial, 200),
    Process("autocorrelated 0.4", "mean", lambda rng, shape, at: rng.normal(10, 1, shape), 1, 0.4),
    Process(
        "season of 52, as wide as the noise",
        "mean",
        lambda rng, shape, at: rng.normal(10 + np.sqrt(2) * np.sin(2 * np.pi * at / 52), 1, shape),
    ),
    Process(
        "means of 50",
        "mean",
        lambda rng, shape, at: rng.normal(10, 1 / np.sqrt(50), shape),
        50,
        sd=1.0,
    ),
    Process("gaps, geometric", "gap", lambda rng, shape, at: rng.geometric(0.04, shape) - 1.0),
    Process("times, exponential", "time", lambda rng, shape, at: rng.exponential(9, shape)),
)


@dataclass(frozen=True, eq=False)
class DataSet:
    """One baseline, the chart chosen for it, and the law fitted to it."""

    place: int
    chosen: tuple[str, str]
    law: steady_process.Steady


def drawn(process: Process, sets: int, baseline: int, rng: RNG) -> tuple[np.ndarray, np.ndarray]:
    """Baselines, (sets, baseline), and futures of each, (sets, FUTURES, AFTER)."""
    start = rng.integers(0, 52, size=(sets, 1))
    base = process.draw(rng, (sets, baseline), start + np.arange(baseline)).astype(float)
    later = (start + baseline + np.arange(AFTER))[:, None, :]
    future = process.draw(rng, (sets, FUTURES, AFTER), later).astype(float)
    if process.correlation:
        r, fresh = process.correlation, np.sqrt(1 - process.correlation**2)
        for t in range(1, baseline):
            base[:, t] = 10 + r * (base[:, t - 1] - 10) + fresh * (base[:, t] - 10)
        for t in range(AFTER):
            before = base[:, -1:] if t == 0 else future[:, :, t - 1]
            future[:, :, t] = 10 + r * (before - 10) + fresh * (future[:, :, t] - 10)
    return base, future


def table_of(process: Process, value: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "data": process.data,
            "period": pd.date_range("2024-01-01", periods=len(value), freq="7D"),
            "n": float(process.n),
            "value": value,
            "sd": process.sd,
            "mature": True,
        }
    )


def chosen(process: Process, base: np.ndarray) -> list[DataSet]:
    """The chart that the choice rule takes for each baseline; blank where it takes none."""
    found = []
    for place, value in enumerate(base):
        rows = table_of(process, value)
        try:
            law = steady_process.steady_from(rows)
        except Refusal:
            continue
        choice = chart_choice.suited(law, chart_choice.evidence_of(rows, law))
        found.append(DataSet(place, (choice.kind, choice.sigma_method), law))
    return found


def cell(process: Process, baseline: int, *, sets: int, stated_for: int, rng: RNG) -> pd.DataFrame:
    """Stated and happening rates of one process and baseline, one row a chart and rule set."""
    base, future = drawn(process, sets, baseline, rng)
    found = chosen(process, base)
    rows = []
    for chart in sorted({each.chosen for each in found}):
        some = [each for each in found if each.chosen == chart]
        share = len(some) / sets
        if chart[0] and share >= SHOWN:
            rows += _rated(process, chart, some, base, future, stated_for, rng)
            for row in rows:
                row.setdefault("taken", share)
        else:
            rows.append({"kind": chart[0] or "none", "sigma_method": chart[1], "taken": share})
    return pd.DataFrame(rows).assign(process=process.name, baseline=baseline)


def _rated(process, chart, some, base, future, stated_for, rng) -> list[dict]:
    sets = chart_choice.rule_sets(chart[0], base.shape[1])
    happens = _happening(process, chart, some, base, future, sets)
    states = np.array(
        [_stated(each, chart, base.shape[1], process.n, sets, rng) for each in some[:stated_for]]
    )
    rows = []
    for j, name in enumerate(sets):
        stated, happening = states[:, j].mean(), happens[:, j].mean()
        relative = np.hypot(
            states[:, j].std() / np.sqrt(len(states)) / max(stated, 1e-9),
            happens[:, j].std() / np.sqrt(len(happens)) / max(happening, 1e-9),
        )
        rows.append(
            {
                "kind": chart[0],
                "sigma_method": chart[1],
                "rules": name,
                "stated": stated,
                "happens": happening,
                "ratio": stated / max(happening, 1e-9),
                "ratio_error": relative * stated / max(happening, 1e-9),
            }
        )
    return rows


def _happening(process, chart, some, base, future, sets) -> np.ndarray:
    """Share of the futures of each data set that signal, (data sets, rule sets)."""
    at = [each.place for each in some]
    value = np.concatenate(
        [np.repeat(base[at][:, None], FUTURES, axis=1), future[at]], axis=2
    ).reshape(len(at) * FUTURES, -1)
    is_base = np.arange(value.shape[1]) < base.shape[1]
    z = chart_limits.standardised(
        value,
        np.full(value.shape[1], float(process.n)),
        is_base,
        kind=chart[0],
        data=process.data,
        sd=None if np.isnan(process.sd) else np.full(value.shape[1], process.sd),
        sigma_method=chart[1],
    )
    alarms = [signal_rules.marks(z, rules)[0][:, -WATCHED:].any(axis=1) for rules in sets.values()]
    return np.array([each.reshape(len(at), FUTURES).mean(axis=1) for each in alarms]).T


def _stated(each: DataSet, chart, baseline, n, sets, rng) -> list[float]:
    periods = baseline + AFTER
    is_base = np.arange(periods) < baseline
    z = steady_process.scores(
        each.law,
        np.full(periods, float(n)),
        is_base,
        kind=chart[0],
        sigma_method=chart[1],
        simulations=SIMULATIONS,
        rng=rng,
    )
    return [
        float(signal_rules.marks(z, rules)[0][:, -WATCHED:].any(axis=1).mean())
        for rules in sets.values()
    ]


def main() -> None:
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else DATA_SETS
    cells = []
    for number, process in enumerate(PROCESSES):
        for baseline in BASELINES:
            rng = np.random.default_rng([6, number, baseline])
            cells.append(cell(process, baseline, sets=sets, stated_for=STATED_FOR, rng=rng))
            shown = cells[-1].reindex(columns=["kind", "sigma_method", "taken", *_RATES])
            print(f"\n{process.name}, baseline {baseline}")
            print(shown.to_string(index=False, float_format="{:.3f}".format, na_rep=""), flush=True)
    rated = pd.concat(cells, ignore_index=True).dropna(subset="stated")
    near = (rated["ratio"] - 1).abs() <= WITHIN
    sure = (rated["ratio"] - 1).abs() > WITHIN + 2 * rated["ratio_error"]
    print(f"\n{near.sum()} of {len(rated)} within a tenth; {sure.sum()} surely outside it:")
    named = ["process", "baseline", "kind", "taken", *_RATES]
    print(rated.loc[sure, named].to_string(index=False, float_format="{:.3f}".format))


_RATES = ["rules", "stated", "happens", "ratio", "ratio_error"]

if __name__ == "__main__":
    main()
