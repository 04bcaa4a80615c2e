"""How long does the importance of drivers take, against fitting every model again?

    python -m tests.benchmarks.drivers [rows] [drivers] [resamples]

Brute force fits the 2^k models anew in every resample of the clusters.  A few resamples of it are
timed, and the time of all is worked out from them; the shares and their spread stand beside.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import expit

from sqm.methods import driver_importance as room
from sqm.regression import Fit, fit_logistic

TRIED = 2  # resamples of brute force


def world(rows: int, drivers: int, rng: np.random.Generator) -> pd.DataFrame:
    """Numbers that go together and two categories, in sixty groups."""
    group = rng.integers(0, 60, rows)
    numbers = 0.6 * rng.normal(size=(rows, 1)) + 0.8 * rng.normal(size=(rows, drivers - 2))
    records = pd.DataFrame(numbers, columns=[f"number_{i}" for i in range(drivers - 2)])
    records["channel"] = rng.choice(["phone", "chat", "letter", "shop"], rows)
    records["ending"] = rng.choice(["resolved", "unresolved"], rows)
    eta = numbers @ np.linspace(0.4, 0.0, drivers - 2) - 3 + rng.normal(0, 0.3, 60)[group]
    eta = eta + 0.6 * (records["channel"] == "chat") + 0.3 * (records["ending"] == "unresolved")
    return records.assign(
        agent=pd.Series(group).astype("str"), complained=rng.random(rows) < expit(eta)
    )


def brute_force(fit: Fit, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Shares of one resample of the clusters, every model fitted again, and the seconds."""
    sample = room._drawn(fit, rng)
    where = [np.flatnonzero(sample.members == g) for g in range(int(sample.members.max()) + 1)]
    began = time.perf_counter()
    rows = np.concatenate([where[g] for g in rng.integers(0, len(where), len(where))])
    seen, design = sample.seen.at(rows), sample.design[rows]
    whole = room._exact(replace(sample, seen=seen, design=design, members=rows))[0]
    return whole / whole.sum(), time.perf_counter() - began


def main(rows: int = 20_000, drivers: int = 10, resamples: int = 1000) -> None:
    """Print both times, their ratio, and how far the quick shares are from the exact ones."""
    rng = np.random.default_rng(1)
    records = world(rows, drivers, rng)
    names = [name for name in records if name not in ("agent", "complained")]
    fit = fit_logistic(records, drivers=names, fixed="")
    began = time.perf_counter()
    found = room.importance_of(fit, rng=rng, resamples=resamples)
    ours = time.perf_counter() - began
    again = [brute_force(fit, rng) for _ in range(TRIED)]
    theirs = float(np.mean([seconds for _, seconds in again])) * resamples
    print(found)
    print(f"\n{rows:,} rows, {drivers} drivers, {resamples:,} resamples: {ours:.1f} s")
    print(
        f"brute force, from {TRIED} resamples: {theirs:,.0f} s, {theirs / ours:,.0f} times as long"
    )
    if found.how == room.EXACT:
        sample = room._drawn(fit, rng)
        exact, quick = room._exact(sample)[0], room._quadratic(sample, room.WORKING)[0]
        off = np.abs(exact / exact.sum() - quick / quick.sum()).max()
        print(f"shares of the working response are off by at most {off:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
