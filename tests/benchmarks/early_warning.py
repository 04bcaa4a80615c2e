"""How many weeks are in alarm, and how many doublings are found, on real complaints by motive?

    python -m tests.benchmarks.early_warning FILE

FILE holds the complaints about telecommunications to Mexico's consumer agency (columns
``fecha_ingreso``, the day, and ``motivo_reclamacion``, the motive).  The 26 largest motives are
counted by week up to the end of June 2025 (later complaints are in the file only if they were
closed soon).  Each week after the first 56 is judged with what was known before it.  A doubling is
planted at every eighth week, in one series at a time: in four weeks running a Poisson number with
the mean of the 52 weeks before is added; it is found if any of the four weeks is in alarm.  What
is in alarm without a planting stands beside: as alarms, and as windows of four weeks with any.

Rivals are a c-chart and negative binomial limits (three sigmas), with limits from the first 52
weeks where either side is an alarm, and with limits from the 52 weeks before, above only.  The
rules of `streams` are an alarm where the chance of a stream is 0.02 or less, and where it is listed
at a false-discovery rate of 0.1 and of 0.05.  The settings of `streams` (memory, half life, weight
of the dispersion shared) were chosen on every other series, the first, third and so on, which are
"tuned on"; "others" are the rest.

Mended are the names that the list of motives changed on 2023-06-01 and took back on 2024-10-02.
Streams that begin or return are found as `streams` finds them, by what was known in each week.
Alarms on real series are not all false.  Steady copies have the mean and the dispersion of each
mended series and the swings of all together: there every alarm is false.  "Weeks with any" is the
share of weeks in which any of the 26 is in alarm.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

from sqm.methods import streams as room
from sqm.usual_level import normal_scores

LARGEST, BASE, GAP, EVERY, RUN = 26, 52, 4, 8, 4
UNTIL = "2025-07-01"
CHANCE, RATES = 0.02, (0.1, 0.05)
MOVED = {  # the study's accepted names, and one that was misspelt until 2024
    "Negativa a la Entrega del Bien o Servicio": "Negativa a la Entrega",
    "Negativa a la Rescisión del Contrato": "Negativa a la Rescisión",
    "Error de Cálculo en el Cobro": "Error de Cálculo",
    "Negativa a Hacer Efectiva la Garantía": "Negativa a Hacerla Efectiva",
    "Modificación o Recisión Sin Aviso Ni Autorización": (
        "Modificación o Rescisión Sin Aviso Ni Autorización"
    ),
}
RULES = (
    "c-chart, first 52 weeks",
    "neg. binomial, first 52",
    "c-chart, 52 before, above",
    "neg. binomial, 52 before",
    "streams, chance 0.02",
    "streams, listed at 0.1",
    "streams, listed at 0.05",
)


def weekly(path: str, *, moved: dict[str, str]) -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    """Counts of the largest motives, of all others together, and the weeks."""
    columns = ["fecha_ingreso", "motivo_reclamacion"]
    records = pd.read_csv(path, usecols=columns, parse_dates=columns[:1])
    long = room.stream_counts(
        records, by=columns[1:], time=columns[0], moved=moved, mature_until=UNTIL
    )
    way = room._Way(base_weeks=BASE, weeks=GAP)
    grid = room._grid(long, None, "", way)
    return grid.counts[:LARGEST], grid.counts[LARGEST:].sum(axis=0), grid.days


def alarms(
    counts: np.ndarray, rest: np.ndarray, days: pd.DatetimeIndex, at: int, alive: np.ndarray
) -> np.ndarray:
    """Which series each rule has in alarm in one week; shape (rules, ..., series)."""
    seen = slice(max(at + 1 - BASE - GAP, 0), at + 1)
    judged = alive[:, seen][:, :-GAP].sum(axis=1) >= room.FEWEST
    chance = np.ones(counts.shape[:-1])
    chance[..., judged] = room.latest(
        counts[..., judged, seen],
        days=days[seen],
        opened=np.ones(len(days[seen])),
        alive=alive[judged, seen],
        rest=rest[seen] + counts.reshape(-1, *counts.shape[-2:])[0, ~judged, seen].sum(axis=0),
        way=room._Way(base_weeks=BASE, weeks=GAP),
    ).chance
    first = _limits(counts[..., at], counts[..., :BASE])
    before = _limits(counts[..., at], counts[..., at - BASE : at])
    plain = [np.abs(each) > 3 for each in first] + [each > 3 for each in before]
    listed = room.listed_at(chance)
    return np.array([*plain, chance <= CHANCE, *(listed <= rate for rate in RATES)])


def _limits(now: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sigmas from the mean of a base, of a c-chart and of negative binomial limits."""
    mean = np.maximum(base.mean(axis=-1), 0.5 / BASE)
    spread = np.maximum(base.var(axis=-1, ddof=1), mean) * (1 + 1 / BASE)
    return (now - mean) / np.sqrt(mean), normal_scores(now, mean, spread)


def _alive(counts: np.ndarray, days: pd.DatetimeIndex, at: int) -> np.ndarray:
    """Weeks on which a level may rest, by what was known in that week."""
    upto = counts[:, : at + 1]
    some = upto.any(axis=1)
    alive, blank = np.zeros(upto.shape, dtype=bool), np.zeros(0)
    names = tuple(map(str, np.flatnonzero(some)))
    grid = room._Grid(names, days[: at + 1], upto[some], np.ones(at + 1), blank, blank, 0)
    alive[some] = room._course(grid).alive
    return alive


def contest(
    counts: np.ndarray,
    rest: np.ndarray,
    days: pd.DatetimeIndex,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    """By rule, series and: share of weeks in alarm, doublings found, windows in alarm anyway.

    The last column is the share of weeks with an alarm in any series, the same for all.
    """
    weeks = range(BASE + GAP, counts.shape[-1])
    alive = {at: _alive(counts, days, at) for at in weeks}
    plain = np.stack([alarms(counts, rest, days, at, alive[at]) for at in weeks], axis=-1)
    found, anyway = [], []
    for start in range(BASE + GAP, counts.shape[-1] - RUN + 1, EVERY):
        mean = counts[:, start - BASE : start].mean(axis=1)
        planted = np.repeat(counts[None], len(counts), axis=0)
        more = rng.poisson(mean[:, None], (len(counts), RUN))
        planted[np.arange(len(counts)), np.arange(len(counts)), start : start + RUN] += more
        each = [
            np.diagonal(alarms(planted, rest, days, at, alive[at]), axis1=1, axis2=2)
            for at in range(start, start + RUN)
        ]
        found.append(np.any(each, axis=0))
        window = slice(start - BASE - GAP, start - BASE - GAP + RUN)
        anyway.append(plain[..., window].any(axis=-1))
    whole = np.repeat(plain.any(axis=1).mean(axis=-1)[:, None], len(counts), axis=1)
    each = [plain.mean(axis=-1), np.mean(found, axis=0), np.mean(anyway, axis=0), whole]
    return np.stack(each, axis=-1)


def steady(
    counts: np.ndarray, rest: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A copy without changes: means and dispersion of each series, and the swings of all."""
    total = counts.sum(axis=0) + rest
    smooth = pd.Series(total).rolling(BASE, center=True, min_periods=1).median().to_numpy()
    swing = total / smooth
    mean = counts.mean(axis=1, keepdims=True) * swing / swing.mean()
    level = pd.DataFrame(counts.T).rolling(BASE, center=True, min_periods=1).mean().to_numpy().T
    usual = np.maximum(level * swing / swing.mean(), 1e-9)  # changes of level are no dispersion
    over = ((counts - usual) ** 2 - usual).sum(axis=1) / (usual**2).sum(axis=1)
    extra = np.maximum(over, 1e-9)[:, None]
    drawn = rng.poisson(mean * rng.gamma(1 / extra, extra, mean.shape)).astype(float)
    return drawn, rng.poisson(rest.mean() * swing / swing.mean()).astype(float)


def _print(name: str, found: np.ndarray) -> None:
    tuned = np.arange(found.shape[1]) % 2 == 0
    print(f"\n{name}: weeks of a series in alarm / doublings found / windows in alarm anyway (%)")
    for rule, each in zip(RULES, found, strict=True):
        parts = {"all": each, "tuned on": each[tuned], "others": each[~tuned]}
        told = [
            f"{part} " + " / ".join(f"{100 * x:4.1f}" for x in values[:, :3].mean(axis=0))
            for part, values in parts.items()
        ]
        print(f"  {rule:26} {'   '.join(told)}   weeks with any {100 * each[0, 3]:4.1f}")


def main(path: str, copies: int = 5) -> None:
    """Print the contest on the series as they stand, mended, and on steady copies."""
    began = time.perf_counter()
    for name, moved in [("As they stand", {}), ("Names mended", MOVED)]:
        counts, rest, days = weekly(path, moved=moved)
        rng = np.random.default_rng(1)
        _print(name, contest(counts, rest, days, rng=rng))
    each = []
    for seed in range(copies):
        rng = np.random.default_rng([2, seed])
        drawn, others = steady(counts, rest, rng)
        each.append(contest(drawn, others, days, rng=rng))
    _print(f"Steady copies ({copies})", np.mean(each, axis=0))
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
