"""Would two people who apply a definition reach the same verdict?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_share
from sqm.finding import Finding, counted
from sqm.interval import below_one, spell, standard_error, wilson
from sqm.predicate import defects, numbers
from sqm.ratings import FEWEST, least_beyond

NEEDED = ("ctq", "table", "measure", "direction", "limit", "unit", "target")
READINGS = ("limit_fails", "rounded", "rounded_down", "other_unit")
IN_WORDS = {
    "limit_fails": "the limit itself counted as a defect",
    "rounded": "values rounded to the limit's decimals",
    "rounded_down": "values rounded down to the limit's decimals",
    "other_unit": "the limit converted to the unit in the measure's name",
}
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
LEVEL = 0.75
# Automotive Industry Action Group, Measurement Systems Analysis, 4th edition, 2010; it is also
# where Fleiss (Statistical Methods for Rates and Proportions, 1981) begins "excellent".
LEVEL_SOURCE = "AIAG 2010"


# --- How the predicate reads the records ----------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Predicates(Finding):
    """What each CTQ's definition says of the records, and whether another reading says the same.

    Attributes
    ----------
    table : DataFrame, one row per CTQ
        ``ctq``, ``table``, ``measure``, ``direction``, ``limit``, ``unit``,
        ``target``; ``records``, ``judged``, ``blank`` (no value), ``running``
        (not settled yet), ``defects``; ``estimate``, share of defects among the
        judged as written (0 to 1); ``limit_fails``, ``rounded``,
        ``rounded_down``, ``other_unit``, the same share under another reading
        of the limit, missing where it does not apply; ``moved``, the largest
        change; ``moved_by``, the reading that makes it; ``resolution``, smallest
        step between values in ``unit``; ``at_limit``, records at the limit;
        ``near_limit``, within one step of it; ``if_blank_good`` and
        ``if_blank_defect``, the share if every unsettled record were so;
        ``target_turns``, whether a reading and the definition as written lie on
        either side of the target; ``robust``; ``note``.
    tolerable : float
        Largest change of the share, 0 to 1, that counts as robust.
    robust, fragile, not_run : tuple of str
        CTQs whose share every reading leaves within ``tolerable`` and on its
        side of the target; those that a reading moves; those without table,
        measure or records.
    """

    tolerable: float
    robust: tuple[str, ...]
    fragile: tuple[str, ...]
    not_run: tuple[str, ...]

    def sentence(self) -> str:
        ran = len(self.robust) + len(self.fragile)
        matters = (
            f"how the limit is read matters for {self._worst()}"
            if self.fragile
            else f"no reading of a limit moves the share by more than {100 * self.tolerable:.3g} % "
            "of the records"
        )
        first = f"{ran} of {counted(len(self.table), 'definition')} run on the records; {matters}."
        return f"{first}\n{' '.join(filter(None, self._rest()))}"

    def _worst(self) -> str:
        rows = self.table[self.table["ctq"].isin(self.fragile)]
        row = rows.loc[rows["moved"].idxmax()]
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        return (
            f"{look.shorten(row['ctq'])} ({100 * row['estimate']:.1f} % defects as written, "
            f"{100 * row[row['moved_by']]:.1f} % with {IN_WORDS[row['moved_by']]}){more}"
        )

    def _rest(self) -> list[str]:
        ran = self.table[self.table["judged"] > 0]
        runs = "; ".join(
            f"{row.ctq}: {row.judged:,} of {row.records:,} judged, {row.defects:,} defects"
            + ("" if row.note else f", {row.at_limit:,} at the limit")  # a flag lies nowhere else
            for row in ran.itertuples()
        )
        turns = list(ran.loc[ran["target_turns"].astype(bool), "ctq"])
        unsettled = ran[ran["blank"] + ran["running"] > 0]
        silent = "; ".join(
            f"{row.ctq} {100 * row.if_blank_good:.1f} to {100 * row.if_blank_defect:.1f} %"
            for row in unsettled.itertuples()
        )
        lost = self.table[self.table["judged"] == 0]
        absent = "; ".join(f"{row.ctq} ({row.note})" for row in lost.itertuples())
        return [
            f"{runs}." if runs else "",
            f"Another reading changes sides of the target: {', '.join(turns)}." if turns else "",
            f"Records without a verdict could put the share of defects anywhere in: {silent}."
            if silent
            else "",
            f"Not run: {absent}." if absent else "",
            "The shares count these records and have no interval; Measure gives the share with one."
            if runs
            else "",
        ]

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[self.table["judged"] > 0].reset_index(drop=True)
        read = rows[["estimate", *READINGS]]
        ends = pd.DataFrame(
            {"estimate": rows["estimate"], "low": read.min(axis=1), "high": read.max(axis=1)}
        )
        meaning = np.where(rows["robust"].astype(bool), "usual", "worse")
        look.dots(ax, 100 * ends.astype(float), names=rows["ctq"], meaning=meaning)
        for marker, reading in zip("|x+s", READINGS, strict=True):
            shown = 100 * rows[reading].astype(float)
            ax.plot(
                shown, range(len(rows)), marker, color=look.MEANING["other"], label=_label(reading)
            )
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="Does it matter how the limit is read?",
            x="defects among the records judged, % (dot: as written; line: every reading)",
        )


def predicates(
    tables: Mapping[str, pd.DataFrame], *, ctqs: pd.DataFrame, tolerable: float = 0.01
) -> Predicates:
    """Run every CTQ's definition on the records and read its limit in other ways too.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        The tables that the CTQs name; one that is absent gives a note.
    ctqs : DataFrame
        The table of a `CtqTree`.
    tolerable : float, default 0.01
        Largest change of the share of defects that another reading may make.

    Returns
    -------
    Predicates

    Raises
    ------
    Problem
        If ``ctqs`` lacks a column, or a measure holds no numbers.
    Refusal
        If no definition can be run on any record.

    Notes
    -----
    Four readings that two people may differ by: "at most 30" as "below 30"; a
    value of 30.4 written down as 30 (rounded), or one of 30.9 (rounded down),
    to as many decimals as the limit has; and, where the measure's name ends in
    another unit of time (``_s``, ``_min``, ``_h``, ``_d``) than the CTQ's, the
    limit converted to it.  A flag has one reading only.  What the words of a
    definition leave open (whose clock, which days) no record shows: that takes
    two people, see `verdicts_agree`.

    Examples
    --------
    "At most 60": one of four fails; were 60 itself a defect, two would.

    >>> ctqs = pd.DataFrame({"ctq": ["quick"], "table": ["calls"], "measure": ["wait_s"],
    ...                      "direction": ["at most"], "limit": [60], "unit": ["s"],
    ...                      "target": [0.3]})
    >>> found = predicates({"calls": pd.DataFrame({"wait_s": [10, 20, 60, 61]})}, ctqs=ctqs)
    >>> found.table[["estimate", "limit_fails", "near_limit"]].values.tolist()
    [[0.25, 0.5, 2.0]]
    """
    need_columns(ctqs, NEEDED, source="the table of CTQs")
    need_share(tolerable, name="tolerable")
    rows = [_read(each, tables.get(each["table"]), tolerable) for each in ctqs.to_dict("records")]
    if not any(row["judged"] for row in rows):
        why = "; ".join(f"{row['ctq']} ({row['note']})" for row in rows) or "no CTQ is named"
        raise Refusal(f"No definition can be run on the records: {why}.", "name the tables.")
    table = pd.DataFrame(rows)
    shares = ["estimate", *READINGS, "moved", "resolution", "if_blank_good", "if_blank_defect"]
    table = table.astype(dict.fromkeys(shares, float) | {"robust": "boolean"})
    return Predicates(
        table=table,
        tolerable=tolerable,
        robust=tuple(table.loc[table["robust"].fillna(False), "ctq"]),
        fragile=tuple(table.loc[(~table["robust"]).fillna(False), "ctq"]),
        not_run=tuple(table.loc[table["robust"].isna(), "ctq"]),
    )


def _read(ctq: dict, records: pd.DataFrame | None, tolerable: float) -> dict:
    """One CTQ: its counts, its share under each reading, and how far they lie apart."""
    row = {key: ctq[key] for key in NEEDED} | dict.fromkeys(
        ("records", "judged", "blank", "running", "defects", "at_limit", "near_limit"), 0
    )
    row |= dict.fromkeys(("estimate", *READINGS, "moved"), np.nan) | {"moved_by": ""}
    row |= dict.fromkeys(("resolution", "if_blank_good", "if_blank_defect"), np.nan)
    row |= {"target_turns": False, "robust": pd.NA}
    if records is None:
        return row | {"note": f"there is no table {ctq['table']}"}
    if ctq["measure"] not in records.columns:
        return row | {"note": f"{ctq['table']} has no {ctq['measure']}"}
    broken = _broken(records, ctq)
    values = numbers(records[ctq["measure"]], ctq["measure"])
    row |= _counts(broken, values, ctq)
    if not row["judged"]:
        return row | {"note": f"no record of {ctq['measure']} to judge"}
    flag = _is_flag(records[ctq["measure"]], values)
    row |= {} if flag else _readings(records, values, ctq, broken)
    return row | _apart(row, tolerable) | {"note": "a flag: one reading only" if flag else ""}


def _broken(records: pd.DataFrame, ctq: dict) -> pd.Series:
    what = {key: ctq[key] for key in ("measure", "direction", "limit")}
    return defects(records, **what)


def _counts(broken: pd.Series, values: pd.Series, ctq: dict) -> dict:
    known, settled = broken.dropna().astype(bool), values[broken.notna()]
    n, failed = len(known), int(known.sum())
    blank = int(values.isna().sum())
    step = _resolution(settled)
    slack = 1e-9 * max(abs(ctq["limit"]), 1.0)
    away = (settled - ctq["limit"]).abs()
    return {
        "records": len(values),
        "judged": n,
        "blank": blank,
        "running": len(values) - n - blank,
        "defects": failed,
        "estimate": failed / n if n else np.nan,
        "resolution": step,
        "at_limit": int((away <= slack).sum()),
        "near_limit": int((away <= (step if np.isfinite(step) else 0) + slack).sum()),
        "if_blank_good": failed / len(values) if n else np.nan,
        "if_blank_defect": 1 - (n - failed) / len(values) if n else np.nan,
    }


def _resolution(values: pd.Series) -> float:
    """Smallest step between two values, beyond what is noise in the last digits."""
    seen = np.unique(values.to_numpy())
    steps = np.diff(seen)
    steps = steps[steps > 1e-9 * max(float(np.abs(seen).max(initial=0)), 1.0)]
    return float(steps.min()) if len(steps) else np.nan


def _is_flag(column: pd.Series, values: pd.Series) -> bool:
    return pd.api.types.is_bool_dtype(column) or set(values.dropna().unique()) <= {0.0, 1.0}


def _readings(records: pd.DataFrame, values: pd.Series, ctq: dict, broken: pd.Series) -> dict:
    """Share of defects under each other reading of the limit."""
    limit, scale = ctq["limit"], 10.0 ** _decimals(ctq["limit"])
    read = {
        "rounded": np.floor(values * scale + 0.5) / scale,
        "rounded_down": np.floor(values * scale + 1e-9) / scale,
    }
    shares = {
        name: _share(records.assign(**{ctq["measure"]: column}), ctq)
        for name, column in read.items()
    }
    at = (values - limit).abs() <= 1e-9 * max(abs(limit), 1.0)
    shares["limit_fails"] = float((broken.astype("boolean") | at).dropna().mean())
    factor = _other_unit(ctq)
    if factor:
        shares["other_unit"] = _share(records, ctq | {"limit": limit * factor})
    return shares


def _share(records: pd.DataFrame, ctq: dict) -> float:
    return float(_broken(records, ctq).dropna().astype(float).mean())


def _decimals(limit: float) -> int:
    """Decimals a limit is written with: 300 none, 2.5 one."""
    exponent = Decimal(repr(float(limit))).normalize().as_tuple().exponent
    return max(-exponent, 0)


def _other_unit(ctq: dict) -> float:
    """By how much the limit must be multiplied if it is in another unit than the measure."""
    ending = str(ctq["measure"]).rsplit("_", 1)[-1]
    if ending not in SECONDS or ctq["unit"] not in SECONDS or ending == ctq["unit"]:
        return 0.0
    return SECONDS[ctq["unit"]] / SECONDS[ending]


def _apart(row: dict, tolerable: float) -> dict:
    """The reading that moves the share most, and whether one changes sides of the target."""
    shares = {name: row[name] for name in READINGS if np.isfinite(row[name])}
    moved = {name: abs(share - row["estimate"]) for name, share in shares.items()}
    by = max(moved, key=moved.get, default="")
    most = moved.get(by, 0.0)
    met = row["estimate"] <= row["target"]
    turns = any((share <= row["target"]) != met for share in shares.values())
    return {
        "moved": most,
        "moved_by": by if most > 0 else "",
        "target_turns": turns,
        "robust": most <= tolerable and not turns,
    }


def _label(reading: str) -> str:
    return look.shorten(IN_WORDS[reading], width=60)


# --- Whether two people agree ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class VerdictAgreement(Finding):
    """How far people who apply a definition to the same records reach the same verdict.

    Attributes
    ----------
    table : DataFrame, one row per CTQ, in the order of first appearance
        ``ctq``; ``judges``; ``records`` judged by two or more; ``left_out``,
        judged by one only; ``disputed``, records on which not all agree;
        ``disputed_records``, the first five of them; ``defect_share`` over all
        verdicts; ``agreed``, ``agreed_low``, ``agreed_high``, the share of pairs of
        verdicts that agree (0 to 1); ``coefficient``, "Cohen's kappa" or "Fleiss'
        kappa", and its ``estimate``, ``low``, ``high``; ``ac1``, ``ac1_low``,
        ``ac1_high``, Gwet's; ``verdict``, "clear", "rewrite", "not settled" or
        "" where it cannot be said; ``note``.
    level : float
        Kappa below which a definition should be rewritten.
    confidence : float
        Level of the intervals.
    clear, rewrite, unsettled, unsaid : tuple of str
        CTQs by verdict.
    blank : int
        Verdicts left blank.
    silent : tuple of str
        Judges of whom every verdict is blank.
    """

    level: float
    confidence: float
    clear: tuple[str, ...]
    rewrite: tuple[str, ...]
    unsettled: tuple[str, ...]
    unsaid: tuple[str, ...]
    blank: int
    silent: tuple[str, ...]

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        said = [
            f"{counted(len(names), 'definition')} {what}"
            for names, what in (
                (self.clear, "clear"),
                (self.rewrite, "to be rewritten"),
                (self.unsettled, "not settled"),
                (self.unsaid, "that cannot be judged"),
            )
            if names
        ]
        first = f"{'; '.join(said)}."
        if len(known):
            row = known.loc[known["estimate"].idxmin()]
            kappa = self._spelt(row, "estimate", "low", "high")
            first += f" People agree least on {look.shorten(row['ctq'])}: kappa {kappa}."
        return f"{first}\n{' '.join(filter(None, self._rest()))}"

    def _spelt(self, row: pd.Series, *columns: str, times: int = 1, unit: str = "") -> str:
        return spell(
            *(times * row[column] for column in columns),
            confidence=self.confidence,
            digits=2 if times == 1 else 1,
            unit=unit,
        )

    def _rest(self) -> list[str]:
        source = f" ({LEVEL_SOURCE})" if self.level == LEVEL else ""
        gone = "; ".join(
            f"{row.ctq} ({row.note})"
            for row in self.table[self.table["ctq"].isin(self.unsaid)].itertuples()
        )
        return [
            *(self._each(row) for _, row in self.table.iterrows() if row["records"] >= FEWEST),
            f"A definition is clear if the whole interval of kappa lies at or above "
            f"{self.level:.4g}{source}, and to be rewritten if the whole lies below.",
            self._prevalence(),
            f"Cannot be judged: {gone}." if gone else "",
            f"{counted(self.blank, 'blank verdict')} left out." if self.blank else "",
            f"Judged nothing: {', '.join(self.silent)}." if self.silent else "",
            self._alone(),
        ]

    def _each(self, row: pd.Series) -> str:
        agreed = self._spelt(row, "agreed", "agreed_low", "agreed_high", times=100, unit="%")
        ac1 = self._spelt(row, "ac1", "ac1_low", "ac1_high")
        kappa = ""
        if np.isfinite(row["estimate"]):
            found = self._spelt(row, "estimate", "low", "high")
            kappa = f"{row['coefficient']} {found}, "
        return (
            f"{row['ctq']}: {agreed} of verdicts agree on {counted(int(row['records']), 'record')} "
            f"by {counted(int(row['judges']), 'judge')}, {kappa}AC1 {ac1}; "
            f"disputed: {row['disputed']:,}."
        )

    def _prevalence(self) -> str:
        parted = self.table[
            (self.table["ac1_low"] >= self.level) & (self.table["verdict"] != "clear")
        ]
        if parted.empty:
            return ""
        return (
            "Gwet's AC1, which minds rare verdicts less, is clear where kappa is not for "
            f"{', '.join(parted['ctq'])}: nearly all verdicts are alike, so draw more of the rare "
            "kind before the words are changed."
        )

    def _alone(self) -> str:
        alone = int(self.table["left_out"].sum())
        return f"{counted(alone, 'record')} with a single verdict left out." if alone else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        shape = {"clear": "better", "rewrite": "worse"}
        meaning = [shape.get(verdict, "usual") for verdict in self.table["verdict"]]
        names = [
            f"{look.shorten(row.ctq, width=30)} ({row.records})" for row in self.table.itertuples()
        ]
        look.dots(ax, self.table, names=names, meaning=meaning)
        ax.plot(
            self.table["ac1"], range(len(self.table)), "x", color=look.MEANING["other"], label="AC1"
        )
        for at in np.flatnonzero(self.table["estimate"].isna()):
            ax.annotate("not known", (0.01, at), xycoords=("axes fraction", "data"), va="center")
        ax.axvline(self.level, color=look.MEANING["limit"], label="rewrite below")
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="Do two people reach the same verdict?",
            x="kappa, agreement beyond chance (in brackets: records judged twice)",
        )


def verdicts_agree(
    verdicts: pd.DataFrame,
    *,
    ctq: str = "ctq",
    record: str = "record",
    judge: str = "judge",
    defect: str = "defect",
    level: float = LEVEL,
    confidence: float = 0.95,
) -> VerdictAgreement:
    """Measure, for each CTQ, how far people agree on what is a defect.

    Parameters
    ----------
    verdicts : DataFrame, one row per CTQ, record and judge
    ctq, record, judge, defect : str
        Columns: which definition, which record, who judged, and a flag that is
        true where the judge saw a defect; a blank flag is no verdict.
    level : float, default 0.75
        Kappa below which a definition should be rewritten.
    confidence : float, default 0.95

    Returns
    -------
    VerdictAgreement
        A CTQ with fewer than ten records judged twice, whose verdicts are all
        alike, or of which one of two judges gave one verdict throughout, gets no
        kappa but a note.

    Raises
    ------
    Problem
        If a judge gave one record two verdicts, or ``defect`` is no flag.
    Refusal
        If no CTQ has ten records that two people judged.

    Notes
    -----
    With a_i the share of agreeing pairs among the verdicts on record i, p_a its
    mean and p the share of defects, a coefficient is (p_a - p_e) / (1 - p_e):
    Cohen's p_e = p1 p2 + (1 - p1)(1 - p2) where the same two people judged [1]_,
    Fleiss' p_e = p^2 + (1 - p)^2 otherwise [2]_, Gwet's AC1 p_e = 2 p (1 - p)
    [3]_.  Records may have different numbers of judges.  The variance is that
    of the coefficient's linear part over records (for Cohen's kappa the
    large-sample one of [4]_); the interval is symmetric for ln(1 - coefficient),
    with Student's t.  Without any disputed record that part is 0, and Wilson's
    lower limit of p_a stands in the same formula.  Agreement has Wilson's interval,
    for three judges or more at the effective number of pairs.

    References
    ----------
    .. [1] Cohen, J. (1960). Educational and Psychological Measurement 20,
       37-46. doi:10.1177/001316446002000104
    .. [2] Fleiss, J. L. (1971). Psychological Bulletin 76, 378-382.
       doi:10.1037/h0031619
    .. [3] Gwet, K. L. (2008). British Journal of Mathematical and Statistical
       Psychology 61, 29-48. doi:10.1348/000711006X126600
    .. [4] Fleiss, J. L., Cohen, J., Everitt, B. S. (1969). Psychological
       Bulletin 72, 323-327. doi:10.1037/h0028106

    Examples
    --------
    20 both defect, 15 both good, 5 and 10 apart: p_a = 0.7, p_e = 0.5, kappa 0.4.

    >>> a, b = [True] * 25 + [False] * 25, [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    >>> verdicts = pd.DataFrame({"ctq": "late", "record": [*range(50)] * 2,
    ...                          "judge": ["a"] * 50 + ["b"] * 50, "defect": a + b})
    >>> round(float(verdicts_agree(verdicts).table["estimate"][0]), 6)
    0.4
    """
    need_share(confidence, name="confidence")
    need_share(level, name="level")
    need_columns(verdicts, [ctq, record, judge, defect], source="the verdicts")
    rows = verdicts[[ctq, record, judge, defect]].set_axis(
        ["ctq", "record", "judge", "defect"], axis=1
    )
    given = _sound(rows)
    table = pd.DataFrame(
        [_agree(name, part, level, confidence) for name, part in given.groupby("ctq", sort=False)]
    )
    if table.empty or (table["records"] < FEWEST).all():
        raise Refusal(
            f"No definition has {FEWEST} records that two people judged.",
            "let two people judge the same records, thirty or more for each CTQ.",
        )
    by = {word: tuple(table.loc[table["verdict"] == word, "ctq"]) for word in _VERDICTS}
    return VerdictAgreement(
        table=table,
        level=level,
        confidence=confidence,
        clear=by["clear"],
        rewrite=by["rewrite"],
        unsettled=by["not settled"],
        unsaid=by[""],
        blank=len(rows) - len(given),
        silent=tuple(sorted(set(rows["judge"].dropna().astype(str)) - set(given["judge"]))),
    )


_NUMBERS = ("defect_share", "agreed", "agreed_low", "agreed_high", "coefficient")
_NUMBERS += ("estimate", "low", "high", "ac1", "ac1_low", "ac1_high")
_VERDICTS = ("clear", "rewrite", "not settled", "")


def _sound(rows: pd.DataFrame) -> pd.DataFrame:
    """The verdicts given, as text and floats; a flag that is none and a double verdict are told."""
    known = rows.dropna()
    try:
        flags = known["defect"].astype("boolean").astype(float)
    except (TypeError, ValueError):
        raise Problem(
            f"The verdicts: 'defect' holds {known['defect'].iloc[0]!r}, no flag.",
            "say which words mean yes and no in the study's parameters.",
        ) from None
    known = known[["ctq", "record", "judge"]].astype(str).assign(defect=flags)
    twice = known[known.duplicated(["ctq", "record", "judge"])]
    if len(twice):
        row = twice.iloc[0]
        raise Problem(
            f"The verdicts: {row['judge']!r} judged record {row['record']!r} of {row['ctq']!r} "
            f"twice ({counted(len(twice), 'such row')}; first rows: {first_rows(twice)}).",
            "keep one verdict of each judge on a record.",
        )
    return known


def _agree(name: str, part: pd.DataFrame, level: float, confidence: float) -> dict:
    """One CTQ."""
    wide = _side_by_side(part)
    judged = wide.notna().sum(axis=1)
    wide = wide[judged >= 2].dropna(axis=1, how="all")
    apart = wide.max(axis=1) > wide.min(axis=1)
    row = {
        "ctq": name,
        "judges": wide.shape[1],
        "records": len(wide),
        "left_out": int((judged < 2).sum()),
        "disputed": int(apart.sum()),
        "disputed_records": ", ".join(wide.index[apart][:5]),
    }
    row |= {name: "" if name == "coefficient" else np.nan for name in _NUMBERS}
    if len(wide) < FEWEST:
        note = f"only {counted(len(wide), 'record')} judged by two people, {FEWEST} needed"
        return row | {"verdict": "", "note": note}
    row |= _coefficients(wide.to_numpy(dtype=float), confidence)
    note = _why_no_kappa(wide)
    if note:
        unsaid = dict.fromkeys(("estimate", "low", "high"), np.nan)
        return row | unsaid | {"verdict": "", "note": note}
    if row["low"] >= level:
        return row | {"verdict": "clear", "note": ""}
    return row | {"verdict": "rewrite" if row["high"] < level else "not settled", "note": ""}


def _side_by_side(part: pd.DataFrame) -> pd.DataFrame:
    """Records by judges; missing where a judge did not see the record."""
    row, records = pd.factorize(part["record"], sort=True)
    column, judges = pd.factorize(part["judge"], sort=True)
    given = np.full((len(records), len(judges)), np.nan)
    given[row, column] = part["defect"]
    return pd.DataFrame(given, index=records, columns=judges)


def _why_no_kappa(wide: pd.DataFrame) -> str:
    """Why agreement beyond chance cannot be seen; empty if it can."""
    low, high = wide.min(), wide.max()
    if low.min() == high.max():
        kind = "a defect" if low.min() == 1 else "good"
        return f"every verdict is {kind}: agreement beyond chance cannot be seen"
    flat = list(wide.columns[low == high])
    if wide.shape[1] == 2 and flat:
        return f"{flat[0]} gave one verdict throughout: kappa is then 0 whatever the other does"
    return ""


def _coefficients(given: np.ndarray, confidence: float) -> dict:
    """Agreement, kappa and AC1 of records by judges (NaN: not judged), with their intervals."""
    m, d = (~np.isnan(given)).sum(axis=1), np.nansum(given, axis=1)
    alike = (d * (d - 1) + (m - d) * (m - d - 1)) / (m * (m - 1))
    share = d / m
    p = float(share.mean())
    two = given.shape[1] == 2
    if two:
        (p1, p2), (x1, x2) = given.mean(axis=0), given.T
        chance = p1 * p2 + (1 - p1) * (1 - p2)
        slope = (2 * p2 - 1) * (x1 - p1) + (2 * p1 - 1) * (x2 - p2)
    else:
        chance, slope = p**2 + (1 - p) ** 2, 2 * (2 * p - 1) * (share - p)
    kappa = _beyond(alike, chance, slope, confidence)
    ac1 = _beyond(alike, 2 * p * (1 - p), 2 * (1 - 2 * p) * (share - p), confidence)
    low, high = wilson(float(alike.mean()), _pairs(alike), confidence=confidence)
    return {
        "defect_share": float(np.nansum(given) / m.sum()),
        "agreed": float(alike.mean()),
        "agreed_low": low,
        "agreed_high": high,
        "coefficient": "Cohen's kappa" if two else "Fleiss' kappa",
        **dict(zip(("estimate", "low", "high"), kappa, strict=True)),
        **dict(zip(("ac1", "ac1_low", "ac1_high"), ac1, strict=True)),
    }


def _pairs(alike: np.ndarray) -> float:
    """Independent yes-or-no outcomes that would make the mean agreement as certain."""
    mean, spread = alike.mean(), alike.var(ddof=0)
    return float(len(alike) * mean * (1 - mean) / spread) if spread > 0 else float(len(alike))


def _beyond(
    alike: np.ndarray, chance: float, slope: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Agreement beyond ``chance``; ``slope`` is the chance's change with each record."""
    n, agreed = len(alike), float(alike.mean())
    if np.isclose(chance, 1):
        return np.nan, np.nan, np.nan
    value = (agreed - chance) / (1 - chance)
    if np.isclose(agreed, 1):
        return 1.0, least_beyond(chance, n, confidence), 1.0
    part = (alike - agreed) / (1 - chance) - slope * (1 - agreed) / (1 - chance) ** 2
    low, high = below_one(value, standard_error(part), n, confidence)
    return float(value), max(low, -1.0), high
