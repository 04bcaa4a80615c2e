"""What do a rate, a Pareto and a chart over a hundred million rows need?

    python -m tests.benchmarks.big_tables make FOLDER [ROWS]       Parquet, of known truth
    python -m tests.benchmarks.big_tables study FOLDER [ROWS]      a whole study, and its peak
    python -m tests.benchmarks.big_tables pandas FOLDER [ROWS]     the sums by pandas, as a ratio
    python -m tests.benchmarks.big_tables postgres FOLDER ADDRESS ROWS   the same from PostgreSQL

`study` prints the largest resident set of the process and its kernels; run it where memory is
limited (``systemd-run --scope -p MemoryMax=4G``, or ``ulimit -v``) to see that it is enough.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
FIRST, DAYS = "2025-01-06", 357  # a Monday, and 51 weeks
SITES, REASONS, CHANNELS = 8, 12, ("phone", "chat", "mail", "branch")
SHIFT_IN = 45  # the week in which something happens
SHIFT = 0.06  # and by how much more is then left unresolved
SUMMED = {
    "period": {"column": "arrived", "each": "week"},
    "unit": "site",
    "part": "reason",
    "n": "rows",
    "events": {"column": "resolved", "is": ["0"]},
}
WHERE = {"channel": ["phone", "chat"]}


def truth() -> pd.DataFrame:
    """Chance that a case is left unresolved, by site, reason and week."""
    rng = np.random.default_rng(7)
    site, reason = rng.normal(0, 0.25, SITES), rng.normal(0, 0.5, REASONS)
    week = rng.normal(0, 0.06, DAYS // 7)
    at = pd.MultiIndex.from_product(
        [range(SITES), range(REASONS), range(DAYS // 7)], names=["s", "r", "w"]
    ).to_frame(index=False)
    score = -1.7 + site[at["s"]] + reason[at["r"]] + week[at["w"]]
    chance = 1 / (1 + np.exp(-score))
    return at.assign(chance=chance + np.where(at["w"] == SHIFT_IN, SHIFT, 0.0))


def make(folder: Path, rows: int) -> Path:
    """Write the contacts; every number comes from a hash of the row's own number."""
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"contacts_{rows}.parquet"
    base = duckdb.connect(config={"memory_limit": "2GB", "temp_directory": str(folder)})
    base.register("truth", truth())
    base.execute("CREATE TABLE chances AS SELECT * FROM truth")
    base.execute("CREATE MACRO drawn(i, k, below) AS (hash(i * 8 + k) >> 9) % below")
    base.execute("SET preserve_insertion_order = false")
    base.execute(
        f"""
        COPY (
            SELECT hash(i * 8) >> 20 AS contact,
                   TIMESTAMP '{FIRST}' + to_microseconds(second * 1000000) AS arrived,
                   'site ' || s AS site, 'reason ' || r AS reason,
                   {list(CHANNELS)}[1 + drawn(i, 4, {len(CHANNELS)})::INT] AS channel,
                   (-180 * ln((1 + drawn(i, 5, 1000000)) / 1000001))::INT AS wait_s,
                   CASE WHEN drawn(i, 6, 1000000) / 1e6 < chance THEN '0' ELSE '1' END AS resolved
            FROM (
                SELECT i, drawn(i, 1, {DAYS * 86400})::BIGINT AS second,
                       drawn(i, 2, {SITES})::INT AS s, drawn(i, 3, {REASONS})::INT AS r
                FROM range({rows}) t(i)
            ) JOIN chances USING (s, r)
            WHERE w = second // 604800
        ) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 250000)
        """
    )
    return path


def described(name: str, place: dict, *, where: dict | None = WHERE) -> dict:
    """The study's file."""
    counted = {**place, **({"where": where} if where else {}), "summed": SUMMED}
    return {
        "study": name,
        "title": "Contacts left unresolved, of a table larger than memory",
        "data": {"time_zone": "UTC", "counted": counted},
        "control": {"change_on": "", "watched": 8},
    }


def carry_out(folder: Path, name: str, place: dict, *, environment: dict | None = None) -> dict:
    """Run the study; its seconds and the peak of all its processes."""
    import yaml

    file, out = folder / f"{name}.yml", folder / "out"
    file.write_text(yaml.safe_dump(described(name, place), sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "sqm", "run", str(file), "--force"]
    begun = time.perf_counter()
    with subprocess.Popen(
        [*command, "--out", str(out)], cwd=ROOT, env=os.environ | (environment or {})
    ) as run:
        peak = _peak(run)
    if run.returncode:
        raise SystemExit(f"the study {name} ended with {run.returncode}")
    return {"seconds": time.perf_counter() - begun, "peak_gib": peak / 2**30} | _answers(out / name)


def _peak(run: subprocess.Popen) -> int:
    """Largest sum of resident memory of a process and all that it started."""
    import psutil

    peak, whole = 0, psutil.Process(run.pid)
    while run.poll() is None:
        total = 0
        for each in [whole, *_children(whole)]:
            try:
                total += each.memory_info().rss
            except psutil.Error:
                continue
        peak = max(peak, total)
        time.sleep(0.05)
    return peak


def _children(process) -> list:
    import psutil

    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _answers(place: Path) -> dict:
    """What Measure and Control found, to be compared between sources."""
    share = pd.read_csv(place / "measure" / "counted_share.csv")
    parts = pd.read_csv(place / "measure" / "counted_parts.csv")
    chart = pd.read_csv(place / "control" / "counted_chart.csv")
    units = pd.read_csv(place / "control" / "counted_comparison.csv")
    return {"share": share, "parts": parts, "chart": chart, "units": units}


def by_pandas(path: Path) -> pd.DataFrame:
    """The same sums, by a person who knows pandas: the four columns alone, one group-by."""
    wanted = ["arrived", "site", "reason", "channel", "resolved"]
    read = pd.read_parquet(path, columns=wanted)
    read = read[read["channel"].isin(WHERE["channel"])]
    week = read["arrived"].dt.to_period("W").dt.start_time
    read = read.assign(period=week, events=(read["resolved"] == "0").astype(int))
    keys = [read["period"], read["site"].rename("unit"), read["reason"].rename("part")]
    return read.groupby(keys)["events"].agg(n="size", events="sum").reset_index()


def by_sqm(path: Path) -> pd.DataFrame:
    from sqm import sources
    from sqm.clock import Calendar
    from sqm.roles import Table

    table = Table.model_validate({"path": str(path), "where": WHERE, "summed": SUMMED})
    return sources.read(table, "counted", root=ROOT, calendar=Calendar()).table


def alone(way: str, path: Path) -> dict:
    """Seconds and peak of one way in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.big_tables", way, str(path)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(run.stdout.splitlines()[-1])


def _measured(way: str, path: Path) -> dict:
    begun = time.perf_counter()
    sums = {"by_pandas": by_pandas, "by_sqm": by_sqm}[way](path)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    told = {"n": int(sums["n"].sum()), "events": int(sums["events"].sum()), "sums": len(sums)}
    return {"way": way, "seconds": round(seconds, 2), "peak_gb": round(peak, 3)} | told


def fill(address: str, path: Path, rows: int) -> None:
    """Copy the first rows of the Parquet file into PostgreSQL."""
    import duckdb
    import psycopg

    base = duckdb.connect(config={"memory_limit": "1GB"})
    with psycopg.connect(address) as there, there.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS contacts")
        cursor.execute(
            "CREATE UNLOGGED TABLE contacts (contact bigint, arrived timestamp, site text,"
            " reason text, channel text, wait_s integer, resolved text)"
        )
        with cursor.copy("COPY contacts FROM STDIN WITH (FORMAT csv)") as copy:
            csv = path.with_name(f"copied_{rows}.csv")
            base.execute(f"COPY (FROM '{path}' LIMIT {rows}) TO '{csv}' (FORMAT csv, HEADER false)")
            with csv.open("rb") as source:
                while piece := source.read(1 << 20):
                    copy.write(piece)
            csv.unlink()
        cursor.execute("ANALYZE contacts")


def main(way: str, folder: str, *more: str) -> None:
    if way in ("by_pandas", "by_sqm"):
        print(json.dumps(_measured(way, Path(folder))))
        return
    place = Path(folder).resolve()
    if way == "make":
        begun = time.perf_counter()
        path = make(place, int(more[0]) if more else 100_000_000)
        print(f"{path} {path.stat().st_size / 1e9:.2f} GB in {time.perf_counter() - begun:.0f} s")
    elif way == "study":
        path = place / f"contacts_{int(more[0]) if more else 100_000_000}.parquet"
        _show("Parquet", carry_out(place, "big-table", {"path": str(path)}))
    elif way == "pandas":
        path = place / f"contacts_{int(more[0]) if more else 10_000_000}.parquet"
        pair = [alone(each, path) for each in ("by_pandas", "by_sqm")]
        for each in pair:
            print(each)
        ratio = {key: round(pair[0][key] / pair[1][key], 1) for key in ("seconds", "peak_gb")}
        print(f"pandas over sqm: {ratio}")
    elif way == "postgres":
        _both(place, more[0], int(more[1]))
    else:
        raise SystemExit(__doc__)


def _both(place: Path, address: str, rows: int) -> None:
    """The same study from Parquet and from PostgreSQL: every answer the same."""
    path = place / f"contacts_{rows}.parquet"
    fill(address, path, rows)
    there = "postgresql+psycopg://" + address.split("://", 1)[1]
    given = {"database": "env:SQM_BIG", "query": "SELECT * FROM contacts"}
    first = carry_out(place, "big-table", {"path": str(path)})
    second = carry_out(place, "big-base", given, environment={"SQM_BIG": there})
    _show("Parquet", first)
    _show("PostgreSQL", second)
    for answer in ("share", "parts", "chart", "units"):
        pd.testing.assert_frame_equal(first[answer], second[answer])
    print("every answer is the same, to the last digit")


def _show(name: str, found: dict) -> None:
    print(f"{name}: {found['seconds']:.0f} s, peak {found['peak_gib']:.2f} GiB")
    row = found["share"].iloc[-1]
    true = truth().query("w != @SHIFT_IN")["chance"].mean()
    print(f"  share {row['estimate']:.5f} ({row['low']:.4f} to {row['high']:.4f}), true {true:.5f}")
    print(f"  part with most events: {found['parts']['part'].iloc[0]}, true {_largest_part()}")
    signals = found["chart"].columns
    print(f"  chart: {len(found['chart'])} rows, columns {', '.join(signals[:6])} ...")


def _largest_part() -> str:
    by = truth().groupby("r")["chance"].sum()
    return f"reason {by.idxmax()}"


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["", ""]))
