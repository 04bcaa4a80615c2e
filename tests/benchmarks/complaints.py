"""How do the seconds and the memory of Analyse grow from 10,000 complaints to a million?

    python -m tests.benchmarks.complaints [rows ...]

Each size runs in a process of its own, so that the peak of its memory is its own.  The file is made
by drawing the flagship's complaints with replacement: fresh numbers, dates spread over more years,
and nine texts in ten with a figure of their own.  It is read from packed CSV and from Parquet; then
every question of `questions` is asked once of the table.  To add a question, add its name and its
call there.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sqm import sources
from sqm.checks import Refusal
from sqm.methods.backlog import backlog
from sqm.methods.coding_sample import draw_sample
from sqm.methods.driver_check import HeldOutWays, held_out_ways
from sqm.methods.driver_doubts import doubts_of
from sqm.methods.driver_importance import importance_of
from sqm.methods.drivers import drivers_of
from sqm.methods.endings import endings
from sqm.methods.handling import Handling, handling_times
from sqm.methods.pareto import pareto
from sqm.methods.record_segments import record_segments
from sqm.methods.redress import care
from sqm.methods.repeats import copies, repeats
from sqm.methods.taxonomy import taxonomy
from sqm.methods.themes import find_themes
from sqm.parameters import load
from sqm.places import DEFAULT_STUDY, find_root
from sqm.regression import Fit, fit_outcome
from sqm.roles import Table

SIZES = (10_000, 100_000, 1_000_000)
ENDINGS = ("csv.gz", "parquet")
A_YEAR = 3_000  # complaints in the flagship's year, about
MOST_YEARS = 140  # by which the file is spread into the past


def complaints(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """The flagship's file, as text, drawn up to so many rows."""
    given = pd.read_csv(find_root() / _spec().path, dtype="str", keep_default_na=False)
    drawn = given.iloc[rng.integers(0, len(given), rows)].reset_index(drop=True)
    drawn["complaint_id"] = pd.Series(np.arange(rows)).astype("str").str.zfill(8).radd("R")
    weeks = 52 * int(np.clip(rows // A_YEAR, 1, MOST_YEARS))
    back = pd.to_timedelta(7 * rng.integers(0, weeks, rows), unit="D")
    for column in (name for name in given.columns if name.endswith("_at")):
        moved = pd.to_datetime(drawn[column].replace("", None)) - back
        drawn[column] = moved.dt.strftime("%Y-%m-%d %H:%M:%S").fillna("")
    figures = pd.Series(rng.integers(10_000, 99_999, rows)).astype("str").radd(" Ref. ")
    drawn["text"] += figures.where(rng.random(rows) > 0.1, "")
    return drawn


def readings(rows: int, folder: Path) -> list[tuple[str, Callable[[], pd.DataFrame]]]:
    """The ways in which a file of so many complaints is read."""
    drawn = complaints(rows, np.random.default_rng(rows))
    packed = {"method": "gzip", "compresslevel": 1}
    drawn.to_csv(folder / "complaints.csv.gz", index=False, compression=packed)
    drawn.to_parquet(folder / "complaints.parquet", index=False)
    return [(f"read {e}", partial(_read, folder / f"complaints.{e}")) for e in ENDINGS]


def _spec() -> Table:
    return load(DEFAULT_STUDY, root=find_root()).tables["complaints"]


def _read(path: Path) -> pd.DataFrame:
    study = load(DEFAULT_STUDY, root=find_root())
    table = study.tables["complaints"].model_copy(update={"path": str(path)})
    return sources.read(table, "complaints", root=find_root(), calendar=study.calendar).table


def questions(table: pd.DataFrame) -> list[tuple[str, Callable]]:
    """Name of each question that takes complaints alone, and the call that answers it."""
    rng, fitted = np.random.default_rng(1), []
    texts = {"text": "text", "opened": "opened", "category": "category", "cost": "cost"}
    return [
        ("acknowledged in time", partial(_acknowledged, table)),
        ("resolved in time", lambda: handling_times(table, promised=30, done="closed")),
        ("how they end", lambda: endings(table)),
        ("how they end, by channel", lambda: endings(table, by="channel")),
        ("handled how well", lambda: care(table, rng=rng)),
        ("backlog", lambda: backlog(table)),
        ("taxonomy", lambda: taxonomy(table, category="code", rng=rng)),
        ("pareto", lambda: pareto(table, rng=rng)),
        ("who complains again", lambda: repeats(table)),
        ("copies", lambda: copies(table)),
        ("draw a sample", lambda: draw_sample(table, rng=rng)),
        ("segments of records", lambda: record_segments(table, rng=rng)),
        ("drivers of escalation, fitted", lambda: fitted.append(_fit(table))),
        ("their effects", lambda: drivers_of(fitted[0])),
        ("their importance", lambda: importance_of(fitted[0], rng=rng)),
        ("their doubts", lambda: doubts_of(fitted[0], table)),
        ("held out three ways", lambda: _ways(fitted[0], table, rng)),
        ("themes", lambda: find_themes(table, id="complaint", rng=rng, **texts)),
    ]


def _acknowledged(table: pd.DataFrame) -> Handling:
    columns = {"duration": "acknowledgement_h", "running": "acknowledgement_h_open"}
    return handling_times(table, promised=48, done="acknowledged", **columns)


def _fit(table: pd.DataFrame) -> Fit:
    drivers = ["channel", "category", "severity", "language"]
    return fit_outcome(table, outcome="escalated", drivers=drivers, cluster="")


def _ways(fit: Fit, table: pd.DataFrame, rng: np.random.Generator) -> HeldOutWays:
    return held_out_ways(fit, table, time="opened", groups=("site",), rng=rng)


def timed(call: Callable) -> tuple[str, Any]:
    """Seconds by the wall's clock and of the processor, peak of memory so far; and the answer."""
    wall, processor = time.perf_counter(), time.process_time()
    try:
        answer = call()
    except Refusal as refusal:  # moved dates do not look like a desk's in all respects
        return f"refused: {refusal.what}", None
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{wall:.2f} | {processor:.2f} | {peak:,.0f}", answer


def measure(rows: int) -> None:
    """Print a row for every question of one size."""
    with tempfile.TemporaryDirectory() as folder:
        for name, call in readings(rows, Path(folder)):
            took, table = timed(call)
            print(f"| {rows:,} | {name} | {took} |", flush=True)
    for name, call in questions(table):
        took, _ = timed(call)
        print(f"| {rows:,} | {name} | {took} |", flush=True)


def main() -> None:
    """Measure each size in a process of its own."""
    if sys.argv[1:2] == ["alone"]:
        measure(int(sys.argv[2]))
        return
    print("| rows | question | seconds | of the processor | peak of memory so far, MB |")
    print("|---|---|---|---|---|", flush=True)
    for rows in map(int, sys.argv[1:] or SIZES):
        again = [sys.executable, "-m", "tests.benchmarks.complaints", "alone", str(rows)]
        subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
