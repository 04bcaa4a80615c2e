"""Are the data fit for the questions?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.clock import DAYS, Calendar, local, span_words, week_of, whole_weeks
from sqm.finding import Finding, counted

UNITS = {"_s": 1.0, "_h": 3600.0, "_d": 86_400.0}  # seconds in the unit a column's name ends in
STARTS_AND_ENDS = (("opened", "closed"),)
FAR_IRQ = 3.0  # interquartile ranges beyond the quartiles: further than any even stretch reaches
HALF = 0.5  # of the median week
QUIET = ("constant", "missing by design", "set aside", "coverage")  # told, but no flaw
CHECKS = (
    "empty",
    "duplicate key",
    "copies",
    "impossible",
    "closed before opened",
    "stray date",
    "gap in time",
    "thin week",
    "missing",
    *QUIET,
)
ANSWERS = (("yes", True), ("no", False))  # of a flag, either of which may explain a blank
COLUMNS = ["table", "column", "check", "rows", "share", "threat", "detail"]


@dataclass(frozen=True, eq=False)
class Fitness(Finding):
    """What is missing, impossible, doubled or thin in the data, and what was set aside.

    Attributes
    ----------
    table : DataFrame, one row per thing seen
        ``table``; ``column`` (empty for the whole table); ``check``, one of
        ``coverage``, ``empty``, ``missing``, ``missing by design``,
        ``impossible``, ``closed before opened``, ``stray date``,
        ``duplicate key``, ``copies``, ``gap in time``, ``thin week``,
        ``constant``, ``set aside``; ``rows`` (days or weeks for gaps);
        ``share`` of the rows (days, weeks) it could have been; ``threat``,
        whether it endangers an answer; ``detail``.
    rows : int
        Rows of all tables together.
    tables : int
        Tables looked at.
    threats : int
        Rows of the table that endanger an answer.
    set_aside : int
        Values and rows that the reader set aside.
    tolerable : float
        Share above which missing or odd values count as a threat.
    week_table, week_start : tuple of str
        Table and first day of each whole week in the picture.
    week_ratio : tuple of float
        Its records over the table's median week.
    week_thin : tuple of bool
        Whether that is less than half.
    """

    rows: int
    tables: int
    threats: int
    set_aside: int
    tolerable: float
    week_table: tuple[str, ...]
    week_start: tuple[str, ...]
    week_ratio: tuple[float, ...]
    week_thin: tuple[bool, ...]

    def sentence(self) -> str:
        bad = self.table[self.table["threat"]]
        words = []
        if len(bad):
            worst = [f"{_place(row)}: {row.detail}" for row in bad.head(4).itertuples()]
            more = f" and {len(bad) - 4} more (see the table)" if len(bad) > 4 else ""
            words.append(f"What may endanger an answer: {'; '.join(worst)}{more}.")
        else:
            words.append(
                f"Nothing endangers the questions: no key comes twice, no stretch is empty, and "
                f"nothing else odd or missing passes {self.tolerable:.0%} of a column."
            )
        words[-1] += "\n"
        words.append(f"{self.rows:,} rows in {counted(self.tables, 'table')} were looked at.")
        words.append(self._small())
        if self.set_aside:
            aside = self.table[self.table["check"] == "set aside"]
            each = "; ".join(_place(row) for row in aside.head(4).itertuples())
            words.append(
                f"{self.set_aside:,} values or rows were set aside before, as the study's "
                f"parameters declare ({each}{'; and more' if len(aside) > 4 else ''})."
            )
        return " ".join(word for word in words if word).replace("\n ", "\n")

    def _small(self) -> str:
        rest = self.table[~self.table["threat"] & ~self.table["check"].isin(QUIET)]
        odd, missing = rest[rest["check"] != "missing"], rest[rest["check"] == "missing"]
        words = [f"{_place(row)}: {row.detail}" for row in odd.head(3).itertuples()]
        words += [f"{len(odd) - 3} more (see the table)"] if len(odd) > 3 else []
        if len(missing):
            most = missing.loc[missing["share"].idxmax()]
            words.append(
                f"blanks in {counted(len(missing), 'column')}, at most {_percent(most['share'])} "
                f"({_place(most)})"
            )
        return f"Seen, and small: {'; '.join(words)}." if words else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        if not self.week_table:
            return self._plot_missing(ax)
        weeks = pd.DataFrame(
            {
                "table": self.week_table,
                "week": pd.to_datetime(list(self.week_start)),
                "ratio": self.week_ratio,
                "thin": self.week_thin,
            }
        )
        dashes = ["-", "--", "-.", ":"]
        for i, (name, rows) in enumerate(weeks.groupby("table", sort=False)):
            ax.plot(rows["week"], rows["ratio"], ls=dashes[i % 4], lw=1.3, label=name)
        thin = weeks[weeks["thin"]]
        style = {"marker": look.MARKER["worse"], "color": look.MEANING["worse"], "ls": ""}
        ax.plot(thin["week"], thin["ratio"], **style, label="under half" if len(thin) else None)
        ax.axhline(1, color=look.MEANING["limit"], lw=0.8)
        ax.axhline(HALF, color=look.MEANING["limit"], lw=0.8, ls=":")
        ax.set_ylim(bottom=0)
        ax.legend(fontsize="small", frameon=False, ncols=3)
        return look.label(
            look.dates(ax),
            title="Do the data cover the whole time?",
            x="week",
            y="records over the median week",
        )

    def _plot_missing(self, ax: Axes) -> Axes:
        rows = self.table[self.table["check"] == "missing"].head(15)
        if rows.empty:
            ax.text(0.5, 0.5, "nothing is missing", transform=ax.transAxes, ha="center")
            ax.set_xlim(0, 100)
        at = np.arange(len(rows))
        colours = [look.MEANING["worse" if threat else "usual"] for threat in rows["threat"]]
        ax.barh(at, rows["share"] * 100, color=colours, height=0.6)
        ax.set_yticks(at, [look.shorten(_place(row)) for row in rows.itertuples()])
        ax.invert_yaxis()
        return look.label(ax, title="What is missing?", x="missing (% of rows)")


def data_fitness(
    tables: dict[str, pd.DataFrame],
    *,
    notes: pd.DataFrame,
    times: dict[str, str],
    keys: dict[str, str],
    calendar: Calendar,
    tolerable: float = 0.05,
) -> Fitness:
    """Look through the tables of a study for what would spoil an answer.

    Parameters
    ----------
    tables : dict of str to DataFrame
        The tables under their roles' names.
    notes : DataFrame
        What was set aside when they were read: columns ``table``, ``column``,
        ``what``, ``rows``, ``treatment``; may be empty.
    times : dict of str to str
        The column that says when a record arose, per table; tables without one
        are not looked at over time, names of absent tables are passed over.
    keys : dict of str to str
        The column that names each record, per table.
    calendar : Calendar
        Days and hours the service works.
    tolerable : float, default 0.05
        Share above which missing or odd values count as a threat; a house
        rule, to be set by what the question can bear.

    Returns
    -------
    Fitness

    Raises
    ------
    Problem
        If a column named in ``times`` or ``keys`` is missing, or a time holds no dates.
    Refusal
        If there is no table.

    Notes
    -----
    *Missing by design*: blank wherever a flag of the same table is set (a
    service time where the contact was abandoned); only the other blanks count
    as missing.  *Impossible*: a duration (``_s``, ``_h``, ``_d``) below 0,
    longer than the stretch of the data, or, in seconds, longer than the
    service is open in a day.  *Copies*: rows equal to an earlier one in all but
    the key, where a time is among their columns.  *Stray date*: more than three
    interquartile ranges beyond the quartiles.  Gaps: worked days without a
    record, a threat if there are more than twice as many, and two, as a steady
    stream of this density would leave, days exp(-records per day); whole weeks
    with fewer than half of the median week's records.

    Examples
    --------
    One of four waits is negative, and a contact comes twice.

    >>> contacts = pd.DataFrame({"contact": [1, 2, 3, 3], "wait_s": [5.0, -1.0, 8.0, 9.0]})
    >>> found = data_fitness({"operations": contacts}, notes=pd.DataFrame(), times={},
    ...                      keys={"operations": "contact"}, calendar=Calendar())
    >>> found.table[["column", "check", "rows", "share"]].values.tolist()
    [['contact', 'duplicate key', 1, 0.25], ['wait_s', 'impossible', 1, 0.25]]
    """
    need_share(tolerable, name="tolerable")
    if not tables:
        raise Refusal("There is no table to look at.", "name at least one under `data`.")
    seen = [
        row
        for name, table in tables.items()
        for row in _look_through(name, table, times.get(name), keys.get(name), calendar, tolerable)
    ]
    aside = _set_aside(notes, tables)
    weeks = _weeks(tables, times, calendar)
    found = pd.DataFrame(seen + aside, columns=COLUMNS).astype({"threat": bool})
    order = found.assign(calm=~found["threat"], rank=found["check"].map(CHECKS.index)).sort_values(
        ["calm", "rank", "share"], ascending=[True, True, False], kind="stable"
    )
    return Fitness(
        table=order[COLUMNS].reset_index(drop=True),
        rows=sum(len(table) for table in tables.values()),
        tables=len(tables),
        threats=int(found["threat"].sum()),
        set_aside=int(sum(row[3] for row in aside)),
        tolerable=tolerable,
        week_table=tuple(weeks["table"]),
        week_start=tuple(weeks["week"]),
        week_ratio=tuple(weeks["ratio"].astype(float)),
        week_thin=tuple(bool(thin) for thin in weeks["thin"]),
    )


# --- One table: each check gives rows in the order of COLUMNS -------------------------------------


def _look_through(name, table, time, key, calendar, tolerable) -> list[tuple]:
    need_columns(table, [each for each in (time, key) if each], source=name)
    if table.empty:
        return [(name, "", "empty", 0, 1.0, True, "it has no row")]
    if time and not _is_time(table[time]):
        raise Problem(
            f"{name}: {time!r} does not hold dates.", "give its type as a date under `data`."
        )
    span = _span_s(table[time]) if time else np.inf
    rows = [*_missing(table), *_impossible(table, calendar, span), *_ends(table), *_stray(table)]
    rows += [*_doubled(table, time, key), *_constant(table)]
    rows += _over_time(table[time], calendar) if time else []
    return [(name, *_graded(row, len(table), tolerable)) for row in rows]


def _graded(row: tuple, rows: int, tolerable: float) -> tuple:
    """Fill in what a check leaves open: the share of the rows, and whether it is a threat."""
    column, check, number, share, threat, detail = row
    share = number / rows if share is None else share
    return (
        column,
        check,
        int(number),
        float(share),
        share > tolerable if threat is None else threat,
        detail,
    )


def _missing(table: pd.DataFrame) -> list[tuple]:
    flags = [c for c in table if pd.api.types.is_bool_dtype(table[c]) and table[c].notna().all()]
    rows = []
    for column in table:
        blank = table[column].isna()
        if not blank.any():
            continue
        asked = [(f, word, table[f].astype(bool) == set_) for f in flags for word, set_ in ANSWERS]
        reason = next((each for each in asked if _explains(each[2], blank)), None)
        if reason is not None:
            flag, word, meant = reason
            detail = f"blank wherever {flag} is {word} ({meant.sum():,})"
            rows.append((column, "missing by design", meant.sum(), None, False, detail))
            blank = blank & ~meant
        if blank.any():
            share = blank.mean()
            detail = "blank throughout" if share == 1 else f"{_percent(share)} missing"
            rows.append((column, "missing", blank.sum(), None, None, detail))
    return rows


def _explains(flag: pd.Series, blank: pd.Series) -> bool:
    """Whether every row with the flag set is blank, and most of the blanks are such rows."""
    both = flag.any() and not flag.all() and not blank.all()
    return bool(both and blank[flag].all() and flag.sum() > (~flag & blank).sum())


def _impossible(table: pd.DataFrame, calendar: Calendar, span_s: float) -> list[tuple]:
    rows = []
    for column in table:
        unit = next((u for u in UNITS if str(column).endswith(u)), None)
        if unit is None or not pd.api.types.is_numeric_dtype(table[column]):
            continue
        values = table[column].astype(float)
        negative = int((values < 0).sum())
        day_s = (calendar.closes - calendar.opens) * 3600
        longest = min(span_s, day_s if unit == "_s" else np.inf)
        endless = int((values * UNITS[unit] > longest).sum())
        if negative:
            rows.append((column, "impossible", negative, None, None, f"{negative:,} below 0"))
        if endless:
            what = "the service is open in a day" if longest == day_s else "the data reach back"
            rows.append(
                (column, "impossible", endless, None, None, f"{endless:,} longer than {what}")
            )
    return rows


def _ends(table: pd.DataFrame) -> list[tuple]:
    rows = []
    for start, end in STARTS_AND_ENDS:
        if start in table and end in table and _is_time(table[start]) and _is_time(table[end]):
            wrong = int((table[end] < table[start]).sum())
            if wrong:
                detail = f"{wrong:,} {end} before {start}"
                rows.append((end, f"{end} before {start}", wrong, None, None, detail))
    return rows


def _stray(table: pd.DataFrame) -> list[tuple]:
    rows = []
    for column in table:
        if not _is_time(table[column]) or table[column].notna().sum() < 4:
            continue
        times = table[column].dropna()
        low, high = times.quantile(0.25), times.quantile(0.75)
        far = FAR_IRQ * (high - low)
        stray = times[(times < low - far) | (times > high + far)]
        if len(stray) and far > pd.Timedelta(0):
            such = f"{stray.iloc[0]:%Y-%m-%d}"
            detail = f"{counted(len(stray), 'date')} far from the others, such as {such}"
            rows.append((column, "stray date", len(stray), None, None, detail))
    return rows


def _doubled(table: pd.DataFrame, time: str | None, key: str | None) -> list[tuple]:
    rows = []
    if key:
        again = int(table[key].dropna().duplicated().sum())
        if again:
            detail = f"{counted(again, 'row')} with a key seen before, counted twice in a join"
            rows.append((key, "duplicate key", again, None, True, detail))
    # without a time among them, equal columns are no sign of a copy: two cases may share a category
    compared = [column for column in table if column != key] if time else list(table)
    copies = int(table.duplicated(subset=compared).sum()) if compared else 0
    if copies:
        detail = f"{counted(copies, 'copy')} of an earlier row" + (
            " in the columns that the study reads, but for the key"
            if time and key
            else " in the columns that the study reads"
        )
        rows.append(("", "copies", copies, None, None, detail))
    return rows


def _constant(table: pd.DataFrame) -> list[tuple]:
    rows = []
    for column in table:
        given = table[column].dropna()
        if len(given) > 1 and (given == given.iloc[0]).all():
            detail = f"always {look.shorten(str(given.iloc[0]), width=30)}"
            rows.append((column, "constant", len(given), None, False, detail))
    return rows


# --- Coverage in time -----------------------------------------------------------------------------


def _over_time(times: pd.Series, calendar: Calendar) -> list[tuple]:
    known = times.dropna()
    if known.empty:
        return []
    column = times.name
    days = local(known).dt.normalize()
    worked = _worked(days.min(), days.max(), calendar)
    rows = [
        (
            column,
            "coverage",
            len(known),
            None,
            False,
            f"{span_words(known)}, {len(worked)} worked days",
        )
    ]
    gone = worked[~worked.isin(days.unique())]
    if len(gone):
        chance = len(worked) * np.exp(-len(known) / len(worked))
        what = f"{counted(len(gone), 'worked day')} without a record"
        detail = f"{what} ({_some(gone)}; chance alone leaves {chance:.0f})"
        threat = len(gone) > 2 * chance + 2
        rows.append((column, "gap in time", len(gone), len(gone) / len(worked), threat, detail))
    weekly = _weekly(known, calendar)
    thin = weekly[weekly < HALF * weekly.median()]
    if len(thin):
        what = f"{counted(len(thin), 'week')} with under half of the usual records"
        detail = f"{what} ({_some(thin.index)})"
        rows.append((column, "thin week", len(thin), len(thin) / len(weekly), None, detail))
    return rows


def _weekly(known: pd.Series, calendar: Calendar) -> pd.Series:
    """Records in each whole week, those without any included."""
    whole = whole_weeks(known, calendar=calendar)
    if not len(whole):
        return pd.Series(dtype=float)
    every = pd.date_range(whole.min(), whole.max(), freq="7D")
    return week_of(known, calendar=calendar).value_counts().reindex(every, fill_value=0)


def _weeks(tables: dict, times: dict, calendar: Calendar) -> pd.DataFrame:
    rows = []
    for name, column in times.items():
        known = tables[name][column].dropna() if name in tables else pd.Series(dtype=object)
        weekly = _weekly(known, calendar) if len(known) else pd.Series(dtype=float)
        if len(weekly) and weekly.median() > 0:
            ratio = weekly / weekly.median()
            rows += [(name, f"{week:%Y-%m-%d}", each, each < HALF) for week, each in ratio.items()]
    return pd.DataFrame(rows, columns=["table", "week", "ratio", "thin"])


def _worked(first: pd.Timestamp, last: pd.Timestamp, calendar: Calendar) -> pd.DatetimeIndex:
    days = pd.date_range(first, last, freq="D")
    open_days = days[days.day_of_week.isin([DAYS.index(day) for day in calendar.days])]
    return open_days[~open_days.isin(pd.to_datetime(list(calendar.holidays)))]


def _span_s(times: pd.Series) -> float:
    known = times.dropna()
    reach = (known.max() - known.min()).total_seconds() if len(known) else 0.0
    return reach if reach > 0 else np.inf


# --- What was set aside, and words ----------------------------------------------------------------


def _set_aside(notes: pd.DataFrame, tables: dict) -> list[tuple]:
    if notes.empty:
        return []
    need_columns(
        notes, ["table", "column", "what", "rows", "treatment"], source="the reader's notes"
    )
    rows = []
    for note in notes.itertuples():
        if note.treatment in ("detected", "kept", "not asked for") or note.what == "blank":
            continue  # how the file is written, what stayed, and what counts as missing anyway
        number = int(note.rows)
        share = number / max(len(tables.get(note.table, [])), number, 1)
        column = "" if pd.isna(note.column) else str(note.column)
        detail = f"{note.what}: {note.treatment}"
        rows.append((note.table, column, "set aside", number, share, False, detail))
    return rows


def _is_time(values: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(values)


def _place(row) -> str:
    return f"{row.table}, {row.column}" if row.column else row.table


def _some(days: pd.DatetimeIndex) -> str:
    first = ", ".join(f"{day:%Y-%m-%d}" for day in days[:3])
    return f"{first}, …" if len(days) > 3 else first


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}" if share >= 0.001 else "under 0.1%"
