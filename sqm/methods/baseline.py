"""How often does the service fail its customers, and is it capable?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import clock, interval, look
from sqm.checks import Problem, need_columns, need_share
from sqm.finding import Finding
from sqm.predicate import judged

NEEDED = ("ctq", "table", "measure", "direction", "limit", "unit", "target")
CLUSTERS: Mapping[str, Sequence[str]] = MappingProxyType({"operations": ("agent", "day")})
FEWEST_WEEKS = 10  # below it weeks are too few to show how they differ, and days stand in
SHIFT = 1.5  # by convention, between a long-term z and a "sigma level"


@dataclass(frozen=True, eq=False)
class Baseline(Finding):
    """How often each CTQ fails, and how capable that makes the process.

    Attributes
    ----------
    table : DataFrame, one row per CTQ
        ``ctq``, ``table``, ``measure``, ``direction``, ``limit``, ``unit``;
        ``n``, records judged; ``undetermined``, records that could not be, or
        are too young to be; ``defects``; ``estimate``, ``low``, ``high``, the
        share of defects (0 to 1); ``effective_n``, independent records that would
        say as much, and ``design_effect``, n over that; ``dpmo``, ``dpmo_low``,
        ``dpmo_high``, defects per million opportunities; ``sigma``,
        ``sigma_low``, ``sigma_high``, the long-term z, where without any defect
        ``sigma`` is its lower bound; ``sigma_shifted``, sigma + 1.5; ``target``;
        ``meets_target``, "yes", "no" or "cannot say"; ``note``.
    confidence : float
        Level of every interval, 0 to 1.
    until : str
        First day no longer counted; empty if all are.
    meeting, missing, unsaid : tuple of str
        CTQs that meet their target, miss it, or cannot be said to do either.
    alike : tuple of str
        What the intervals allow records to share: ``operations: agent and day``.
    """

    confidence: float
    until: str
    meeting: tuple[str, ...]
    missing: tuple[str, ...]
    unsaid: tuple[str, ...]
    alike: tuple[str, ...]

    def sentence(self) -> str:
        when = f" before {self.until}" if self.until else ""
        said = [
            f"{head}{when}: {'; '.join(self._each(name) for name in names)}."
            for head, names in (
                ("Fail more often than tolerated", self.missing),
                ("Meet their target", self.meeting),
                ("Cannot be said to meet or miss their target", self.unsaid),
            )
            if names
        ]
        rest = filter(None, [*said[1:], self._undetermined(), self._basis(), self._sigma()])
        return f"{said[0]}\n{' '.join(rest)}"

    def _undetermined(self) -> str:
        some = self.table[self.table["undetermined"] > 0]
        each = ", ".join(f"{row.ctq} {row.undetermined:,}" for row in some.itertuples())
        return f"Left out, without a value or too young to judge: {each}." if each else ""

    def _basis(self) -> str:
        if not self.alike:
            return "Every record counts as independent."
        sample = ", and take the agents as a sample" if "agent" in " ".join(self.alike) else ""
        shared = "; ".join(self.alike)
        return (
            f"Records that share these may be alike ({shared}): the intervals allow for it{sample}."
        )

    def _sigma(self) -> str:
        known = self.table.dropna(subset="sigma_shifted")
        if known.empty:
            return ""
        worst = known.loc[known["sigma_shifted"].idxmin()]
        return (
            f"The lowest sigma level is {worst['sigma']:.2f} ({worst['ctq']}), which the usual "
            f"convention of a 1.5 shift calls {worst['sigma_shifted']:.2f}."
        )

    def _each(self, name: str) -> str:
        row = self.table.set_index("ctq").loc[name]
        if np.isnan(row["estimate"]):
            return f"{name} ({row['note']})"
        found = interval.spell(
            100 * row["estimate"],
            100 * row["low"],
            100 * row["high"],
            confidence=self.confidence,
            digits=1 if row["high"] >= 0.02 else 3,
            unit="%",
        )
        return (
            f"{name} fails in {found} of {row['n']:,} records, "
            f"tolerated {100 * row['target']:.4g} %"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax, table = look.axes(ax), self.table
        percent = table.assign(**100 * table[["estimate", "low", "high"]])
        shape = table["meets_target"].map({"yes": "better", "no": "worse", "cannot say": "usual"})
        look.dots(ax, percent, names=table["ctq"], meaning=shape)
        ax.plot(
            100 * table["target"],
            np.arange(len(table)),
            ls="",
            marker="|",
            ms=16,
            mew=2.5,
            color=look.MEANING["limit"],
        )
        for at in np.flatnonzero(table["estimate"].isna()):
            ax.annotate("not known", (0.01, at), xycoords=("axes fraction", "data"), va="center")
        ax.set_xlim(left=0)
        what = "share of defects, % (grey bar: tolerated)"
        return look.label(ax, title="How often does the service fail?", x=what)


def baseline(
    tables: Mapping[str, pd.DataFrame],
    *,
    ctqs: pd.DataFrame,
    times: Mapping[str, str],
    until: str = "",
    clusters: Mapping[str, Sequence[str]] = CLUSTERS,
    confidence: float = 0.95,
) -> Baseline:
    """Count how often each CTQ fails, with what that says about the process.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        The tables that the CTQs name; one that is absent gives a note.
    ctqs : DataFrame
        The table of a `CtqTree`.
    times : mapping of str to str
        The column of each table that says when a record began.
    until : str, optional
        Only records that began before this local date count.
    clusters : mapping of str to sequence of str
        What records of each table share, two columns at most; ``day`` is taken
        from the table's time.  Those that a table lacks are passed over.  By
        default the agent and the day of ``operations``.  A table not named has
        the weeks of its time (the days, of fewer than ten weeks); without a time
        its records count as independent.
    confidence : float, default 0.95

    Returns
    -------
    Baseline

    Raises
    ------
    Problem
        If ``ctqs`` lacks a column, ``until`` is no date, or a measure no number.

    Notes
    -----
    The interval is Wilson's at the effective number of records
    (`sqm.interval.share`).  A record without an agent never reached one, often
    because of what is counted (it was abandoned), so the absence cannot be a
    cluster: the design effect is then the larger of that of the complete
    clusters over all records and that of all clusters over the records that
    have them.

    Durations still running: of the youngest records only the quick are known,
    so all that began at or after the first one still undetermined are left out.

    With p the share of defects and k opportunities in a record, of which one
    defect at most is seen, DPMO = 10^6 p / k and sigma = Phi^-1(1 - p / k): a
    long-term z.  ``sigma_shifted`` adds 1.5, by the convention that the mean
    drifts so far [1]_; nothing here measures such a drift.  Without any defect
    sigma has no estimate and the table gives its bound, from the high end of the interval.

    A target is met if the whole interval lies at or below it, and missed if the
    whole interval lies above.

    References
    ----------
    .. [1] Harry, M. J. (1988). The Nature of Six Sigma Quality. Motorola
       University Press.

    Examples
    --------
    One failure in four: DPMO 250,000, sigma Phi^-1(0.75) = 0.6745.

    >>> ctqs = pd.DataFrame({"ctq": ["quick"], "table": ["calls"], "measure": ["wait_s"],
    ...                      "direction": ["at most"], "limit": [60], "unit": ["s"],
    ...                      "target": [0.2]})
    >>> found = baseline({"calls": pd.DataFrame({"wait_s": [10, 20, 60, 61]})}, ctqs=ctqs,
    ...                  times={})
    >>> found.table[["dpmo", "sigma", "meets_target"]].round(4).values.tolist()
    [[250000.0, 0.6745, 'cannot say']]
    """
    need_columns(ctqs, NEEDED, source="the table of CTQs")
    need_share(confidence, name="confidence")
    end = _date(until)
    rows = [
        _baseline_row(row, tables.get(row["table"]), times, end, clusters, confidence)
        for row in ctqs.to_dict("records")
    ]
    table = pd.DataFrame(rows)
    alike = {row["table"]: row["shared"] for row in rows if row["shared"]}
    table = table.drop(columns="shared")
    said = {
        each: tuple(table.loc[table["meets_target"] == each, "ctq"])
        for each in ("yes", "no", "cannot say")
    }
    return Baseline(
        table=table,
        confidence=confidence,
        until=until,
        meeting=said["yes"],
        missing=said["no"],
        unsaid=said["cannot say"],
        alike=tuple(f"{name}: {what}" for name, what in alike.items()),
    )


def weekly(
    tables: Mapping[str, pd.DataFrame],
    *,
    ctqs: pd.DataFrame,
    times: Mapping[str, str],
    calendar: clock.Calendar,
) -> pd.DataFrame:
    """Count the defects of each CTQ week by week, for a chart.

    Parameters
    ----------
    tables, ctqs, times
        As for `baseline`.
    calendar : Calendar
        Says when a week starts and which days are worked.

    Returns
    -------
    DataFrame
        ``ctq``, ``period`` (first local day of the week), ``defects``, ``n``
        (records judged).  Whole weeks only; weeks without a record judged, and
        CTQs without their table, measure or time, have no row.  Records too young to be
        judged are left out as in `baseline`.

    Examples
    --------
    >>> ctqs = pd.DataFrame({"ctq": ["quick"], "table": ["calls"], "measure": ["wait_s"],
    ...                      "direction": ["at most"], "limit": [60], "unit": ["s"],
    ...                      "target": [0.2]})
    >>> calls = pd.DataFrame({"at": pd.date_range("2025-09-29", "2025-10-08"), "wait_s": 90})
    >>> weekly({"calls": calls}, ctqs=ctqs, times={"calls": "at"},
    ...        calendar=clock.Calendar())[["defects", "n"]].values.tolist()
    [[7, 7]]
    """
    need_columns(ctqs, NEEDED, source="the table of CTQs")
    found = [
        _weeks_of(row, tables[row["table"]], times[row["table"]], calendar)
        for row in ctqs.to_dict("records")
        if row["table"] in tables
        and times.get(row["table"]) in tables[row["table"]].columns
        and row["measure"] in tables[row["table"]].columns
    ]
    columns = ["ctq", "period", "defects", "n"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def _date(until: str) -> pd.Timestamp | None:
    if not until:
        return None
    try:
        return pd.Timestamp(until).tz_localize(None)
    except ValueError:
        raise Problem(f"until is {until!r}, no date.", "write it as 2025-09-29.") from None


def _baseline_row(
    ctq: dict,
    records: pd.DataFrame | None,
    times: Mapping[str, str],
    end: pd.Timestamp | None,
    clusters: Mapping[str, Sequence[str]],
    confidence: float,
) -> dict:
    time = times.get(ctq["table"], "")
    why = _cannot(ctq, records, time, end)
    if why:
        return _row(ctq, note=why)
    undated = 0 if end is None else int(records[time].isna().sum())
    if end is not None:
        records = records[clock.local(records[time]) < end]
    broken, note = _judged(ctq, records, time)
    if undated:
        note = "; ".join(filter(None, [note, f"{undated:,} records without a time are left out"]))
    known = broken.dropna().astype(bool)
    undetermined = len(records) - len(known)
    if known.empty:
        return _row(ctq, undetermined=undetermined, note=f"no record of {ctq['measure']} to judge")
    judged = records.loc[broken.notna()]
    shared = _clusters(judged, time, clusters.get(ctq["table"], _usual_clusters(judged, time)))
    found = _share(known, shared, confidence)
    row = _row(ctq, found, defects=int(known.sum()), undetermined=undetermined, note=note)
    return row | {"shared": "" if shared is None else " and ".join(shared)}


def _cannot(ctq: dict, records: pd.DataFrame | None, time: str, end: pd.Timestamp | None) -> str:
    if records is None:
        return f"there is no table {ctq['table']}"
    if ctq["measure"] not in records.columns:
        return f"{ctq['table']} has no {ctq['measure']}"
    if end is not None and time not in records.columns:
        return f"{ctq['table']} has no time, so what began before the end date is not known"
    return ""


def _judged(ctq: dict, records: pd.DataFrame, time: str) -> tuple[pd.Series, str]:
    """Defects, without the records of which only the quick are known yet."""
    what = {key: ctq[key] for key in ("measure", "direction", "limit")}
    return judged(records, time=time, **what)


def _clusters(records: pd.DataFrame, time: str, columns: Sequence[str]) -> pd.DataFrame | None:
    """What the records share, as numbers (quick to group by); -1 where it is blank."""
    shared = {}
    for column in columns:
        if column in ("day", "week") and time in records.columns:
            shared[column] = _periods(records[time], column)
        elif column in records.columns:
            shared[column] = records[column].replace("", pd.NA)
    if len(shared) > 2:
        raise Problem(
            f"{len(shared)} kinds of cluster are named: {', '.join(shared)}.",
            "name the two that matter most, such as the agent and the day.",
        )
    codes = {column: pd.factorize(values, sort=True)[0] for column, values in shared.items()}
    return pd.DataFrame(codes, index=records.index) if codes else None


def _usual_clusters(records: pd.DataFrame, time: str) -> Sequence[str]:
    """What is likely to come and go in any table: good and bad weeks."""
    if time not in records.columns:
        return ()
    return ("week",) if _periods(records[time], "week").nunique() >= FEWEST_WEEKS else ("day",)


def _periods(times: pd.Series, column: str) -> pd.Series:
    """The local day of each time, or the Monday of its week."""
    day = clock.local(times).dt.normalize()
    return day - pd.to_timedelta(day.dt.day_of_week, unit="D") if column == "week" else day


def _share(known: pd.Series, shared: pd.DataFrame | None, confidence: float) -> interval.Estimate:
    """Share of defects; a blank cluster is an absence, not something that records share."""
    if shared is None or not (blank := shared.eq(-1)).any(axis=None):
        return interval.share(known, clusters=shared, confidence=confidence)
    n, ways = len(known), shared.loc[:, ~blank.any()]
    all_rows = interval.share(
        known, clusters=ways if ways.shape[1] else None, confidence=confidence
    )
    effects = [n / all_rows.effective_n]
    have = ~blank.any(axis=1)
    if have.any():
        part = interval.share(known[have], clusters=shared[have], confidence=confidence)
        effects.append(part.n / part.effective_n)
    effective = n / max(effects)
    certain = effective * interval.few_clusters(shared[have], n, confidence)
    low, high = interval.wilson(all_rows.estimate, certain, confidence=confidence)
    return interval.Estimate(all_rows.estimate, low, high, confidence, n, effective)


def _row(
    ctq: dict,
    found: interval.Estimate | None = None,
    *,
    defects: int = 0,
    undetermined: int = 0,
    note: str,
) -> dict:
    found = found or interval.Estimate(*[np.nan] * 4, n=0, effective_n=np.nan)
    chances = ctq.get("opportunities", 1)
    shares = {"": found.estimate, "_low": found.low, "_high": found.high}
    sigma = _sigma(shares, chances)
    bound = {0.0: "no defect seen: sigma is at least this"}
    if chances == 1:
        bound[1.0] = "every record failed: sigma is at most this"
    return {
        **{key: ctq[key] for key in NEEDED if key not in ("unit", "target")},
        "unit": "" if pd.isna(ctq["unit"]) else ctq["unit"],
        "n": found.n,
        "undetermined": undetermined,
        "defects": defects,
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "effective_n": found.effective_n,
        "design_effect": found.n / found.effective_n,
        **{f"dpmo{end}": 1e6 * share / chances for end, share in shares.items()},
        **sigma,
        "sigma_shifted": sigma["sigma"] + SHIFT,
        "target": ctq["target"],
        "meets_target": _meets(found, ctq["target"]),
        "note": "; ".join(filter(None, [note, bound.get(found.estimate, "")])),
        "shared": "",
    }


def _sigma(shares: dict[str, float], chances: int) -> dict[str, float]:
    """Long-term z; many defects make a low one, so the ends change places."""
    z = {end: float(stats.norm.isf(share / chances)) for end, share in shares.items()}
    if shares[""] == 0:
        z |= {"": z["_high"], "_low": np.nan}
    elif shares[""] == chances == 1:
        z |= {"": z["_low"], "_high": np.nan}
    return {"sigma": z[""], "sigma_low": z["_high"], "sigma_high": z["_low"]}


def _meets(found: interval.Estimate, target: float) -> str:
    if found.high <= target:
        return "yes"
    return "no" if found.low > target else "cannot say"


def _weeks_of(
    ctq: dict, records: pd.DataFrame, time: str, calendar: clock.Calendar
) -> pd.DataFrame:
    broken, _ = _judged(ctq, records, time)
    week = clock.week_of(records[time], calendar=calendar)
    whole = clock.whole_weeks(records[time], calendar=calendar)
    known = broken.notna() & week.isin(whole)
    counts = broken[known].astype(int).groupby(week[known]).agg(["sum", "size"])
    counts = counts.rename(columns={"sum": "defects", "size": "n"}).rename_axis("period")
    return counts.reset_index().assign(ctq=ctq["ctq"])
