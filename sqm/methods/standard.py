"""Do people file cases as a standard says?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_rows, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell
from sqm.ratings import FEWEST, as_text, cohen, crossed, fleiss, sums_of_each


@dataclass(frozen=True, eq=False)
class StandardAgreement(Finding):
    """How far raters agree with themselves, with each other and with the standard.

    Attributes
    ----------
    table : DataFrame, one row per assessment and rater
        ``assessment``: ``within`` (a rater files the same case the same way
        every time), ``vs standard`` (and as the standard says), and, of two
        raters or more, ``between`` (all alike, every time) and ``all vs
        standard``; ``rater``, blank where it is all; ``matched`` of
        ``inspected`` cases; ``estimate``, ``low``, ``high``, that share;
        ``low_one_sided``, where all match, the bound that some programs print
        instead of ``low``; ``fleiss_kappa``, ``cohen_kappa``, of the single
        ratings; ``miss``, ``false_alarm``, the shares of single ratings that
        overlook the defect, or see one where none is (missing unless a
        category is named as the defect); ``note``.
    raters, silent : tuple of str
        Columns judged, and those without any rating.
    cases, without_standard : int
        Cases with a standard, and rows without.
    most_trials : int
        How often a rater filed one case, at most.
    defect : str
        The category that is the defect; blank if none is named.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    raters: tuple[str, ...]
    silent: tuple[str, ...]
    cases: int
    without_standard: int
    most_trials: int
    defect: str
    confidence: float

    def sentence(self) -> str:
        each = self.table[self.table["assessment"] == "vs standard"]
        worst = each.loc[each["estimate"].idxmin()]
        first = f"Least often right is {self._one(worst)}"
        together = self.table[self.table["assessment"] == "all vs standard"]
        for row in together.dropna(subset="estimate").itertuples():
            first += f"; all are right together on {100 * row.estimate:.0f} %"
        return f"{first}.\n{' '.join(filter(None, self._rest()))}"

    def _one(self, row: pd.Series) -> str:
        limits = (100 * row[name] for name in ("estimate", "low", "high"))
        found = spell(*limits, confidence=self.confidence, digits=1, unit="%")
        return (
            f"{row['rater']}: as the standard says on {found} of "
            f"{counted(row['inspected'], 'case')}"
        )

    def _rest(self) -> list[str]:
        said = [
            "A case counts as right if every rating of it is; intervals are Clopper and Pearson's, "
            "which are conservative.",
            self._within(),
            self._errors(),
        ]
        if self.table["low_one_sided"].notna().any():
            said.append(
                "Where all match, programs such as Minitab print a one-sided lower limit, which is "
                "higher (column low_one_sided)."
            )
        if self.silent:
            said.append(f"Without any rating, so not judged: {', '.join(self.silent)}.")
        if self.without_standard:
            said.append(f"Left out, without a standard: {counted(self.without_standard, 'row')}.")
        return said

    def _within(self) -> str:
        rows = self.table[(self.table["assessment"] == "within") & (self.table["inspected"] > 0)]
        if rows.empty:
            return "No rater filed a case twice, so nobody can be compared with himself or herself."
        worst = rows.loc[rows["estimate"].idxmin()]
        return (
            f"Least in agreement with himself or herself is {worst['rater']}: the same every time "
            f"on {worst['matched']} of {worst['inspected']} cases."
        )

    def _errors(self) -> str:
        known = self.table.dropna(subset=["miss", "false_alarm"])
        known = known[known["assessment"] == "vs standard"]
        if known.empty:
            return ""
        each = "; ".join(
            f"{row.rater} {row.miss:.0%} and {row.false_alarm:.0%}" for row in known.itertuples()
        )
        return f"Defects ({look.shorten(self.defect)}) overlooked and false alarms: {each}."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.dropna(subset="estimate")
        shown = rows.assign(**{name: rows[name] * 100 for name in ("estimate", "low", "high")})
        names = [f"{row.assessment} {row.rater}".strip() for row in rows.itertuples()]
        look.dots(ax, shown, names=names)
        ax.set_xlim(0, 101)
        return look.label(
            ax, title="Do raters judge as the standard says?", x="cases that match throughout (%)"
        )


def standard_agreement(
    ratings: pd.DataFrame,
    *,
    raters: Sequence[str] = ("coder_a", "coder_b"),
    standard: str = "standard",
    case: str = "complaint",
    defect: str = "",
    confidence: float = 0.95,
) -> StandardAgreement:
    """Compare raters with themselves, with each other and with the standard.

    Parameters
    ----------
    ratings : DataFrame, one row per case and trial
        A case that a rater filed again stands in a further row; its standard is the same in each.
    raters : sequence of str
        One column or more.
    standard, case : str
        Columns of the right category and of the case's identifier.
    defect : str, default ""
        The category that is a defect; blank if none is.
    confidence : float, default 0.95

    Returns
    -------
    StandardAgreement

    Raises
    ------
    Problem
        If a column is missing, or one case has two standards.
    Refusal
        If fewer than ten cases have a standard and a rating.

    Notes
    -----
    A case matches if all of its ratings do.  The interval of the share of
    matched cases is Clopper and Pearson's [1]_: conservative, it holds the
    truth at least as often as it says.  At n of n matched its lower limit is
    (a/2)^(1/n), a = 1 - confidence, where Minitab prints the one-sided a^(1/n).
    Fleiss' kappa takes the trials of a rater as raters (within), the mean
    over trials of trial and standard (against the standard), or all trials of
    all raters (between); Cohen's pools all ratings against the standard.

    References
    ----------
    .. [1] Clopper, C. J., Pearson, E. S. (1934). Biometrika 26, 404-413.
       doi:10.1093/biomet/26.4.404

    Examples
    --------
    10 of 10 right: the lower limit is 0.025^(1/10).

    >>> ratings = pd.DataFrame({"complaint": range(10), "standard": list("xy") * 5,
    ...                         "coder_a": list("xy") * 5, "coder_b": list("xx") * 5})
    >>> found = standard_agreement(ratings).table.query("assessment == 'vs standard'")
    >>> found[["matched", "low"]].round(4).values.tolist()
    [[10.0, 0.6915], [5.0, 0.1871]]
    """
    need_share(confidence, name="confidence")
    trials = _trials(ratings, list(raters), standard, case)
    silent = tuple(r for r in raters if trials.ratings[r].isna().all())
    active = [r for r in raters if r not in silent]
    if not active:
        raise Refusal("No rater filed a case that has a standard.", "give ratings to compare.")
    need_rows(trials.standard, FEWEST, source="The ratings", why="a comparison with the standard")
    rows = [_within_row(trials, r, confidence) for r in active]
    rows += [_standard_row(trials, [r], defect, confidence) for r in active]
    if len(active) > 1:
        rows.append(_between_row(trials, active, confidence))
        rows.append(_standard_row(trials, active, defect, confidence))
    return StandardAgreement(
        table=pd.DataFrame(rows),
        raters=tuple(active),
        silent=silent,
        cases=len(trials.standard),
        without_standard=int(ratings[standard].isna().sum()),
        most_trials=int(trials.ratings.index.get_level_values("trial").max()) + 1,
        defect=defect,
        confidence=confidence,
    )


@dataclass(frozen=True)
class _Trials:
    """Ratings by case and trial, and each case's standard."""

    ratings: pd.DataFrame
    standard: pd.Series

    def wide(self, raters: Sequence[str]) -> pd.DataFrame:
        """One row per case, one column per rater and trial."""
        trials = self.ratings[list(raters)].groupby(level="trial")
        return pd.concat({trial: rows.droplevel("trial") for trial, rows in trials}, axis=1)


def _trials(ratings: pd.DataFrame, raters: list[str], standard: str, case: str) -> _Trials:
    if not raters or len(set(raters)) < len(raters):
        raise Problem(f"The raters are {raters}.", "name each column once.")
    need_columns(ratings, [case, standard, *raters], source="the ratings")
    texts = ratings[[standard, *raters]].map(as_text, na_action="ignore")
    known = texts[texts[standard].notna() & ratings[case].notna()]
    by = ratings.loc[known.index, case].astype(str)
    mixed = known.groupby(by)[standard].nunique()
    if (mixed > 1).any():
        raise Problem(
            f"The ratings: case {mixed.idxmax()!r} has {mixed.max()} different standards.",
            "give each case one right category.",
        )
    known = known.set_axis(
        pd.MultiIndex.from_arrays([by, known.groupby(by).cumcount()], names=["case", "trial"])
    )
    return _Trials(known[raters], known[standard].groupby("case").first())


def _match_row(
    assessment: str, rater: str, matched: pd.Series, confidence: float, **more: float
) -> dict:
    """The share of cases that match, with its interval."""
    n, k = len(matched), int(matched.sum())
    row = {"assessment": assessment, "rater": rater, "matched": k, "inspected": n}
    row |= dict.fromkeys(("estimate", "low", "high", "low_one_sided"), np.nan)
    if n:
        found = stats.binomtest(k, n).proportion_ci(confidence, method="exact")
        row |= {"estimate": k / n, "low": float(found.low), "high": float(found.high)}
    if n and k == n:
        row["low_one_sided"] = (1 - confidence) ** (1 / n)
    missing = dict.fromkeys(("fleiss_kappa", "cohen_kappa", "miss", "false_alarm"), np.nan)
    return row | missing | more | {"note": "" if n else "no case to compare"}


def _within_row(trials: _Trials, rater: str, confidence: float) -> dict:
    wide = trials.wide([rater])
    wide = wide[wide.notna().sum(axis=1) > 1]
    kappa = _fleiss_of(wide)
    return _match_row("within", rater, _throughout(wide), confidence, fleiss_kappa=kappa)


def _between_row(trials: _Trials, raters: list[str], confidence: float) -> dict:
    wide = _filed_by_all(trials, raters)
    kappa = _fleiss_of(wide)
    return _match_row("between", "", _throughout(wide), confidence, fleiss_kappa=kappa)


def _standard_row(trials: _Trials, raters: list[str], defect: str, confidence: float) -> dict:
    wide = _filed_by_all(trials, raters)
    right = trials.standard.reindex(wide.index)
    columns = [pd.DataFrame({"given": wide[each], "right": right}).dropna() for each in wide]
    single = pd.concat(columns, ignore_index=True)
    fleiss = [_fleiss_of(pair) for pair in columns if len(pair)]
    names, counts = crossed(single["given"], single["right"])
    alone = len(raters) == 1
    return _match_row(
        "vs standard" if alone else "all vs standard",
        raters[0] if alone else "",
        _throughout(wide, right),
        confidence,
        fleiss_kappa=float(np.mean(fleiss)) if fleiss else np.nan,
        cohen_kappa=cohen(counts, confidence)[0] if len(names) > 1 else np.nan,
        **_error_shares(single, defect),
    )


def _throughout(wide: pd.DataFrame, value: pd.Series | None = None) -> pd.Series:
    """Rows of which all ratings are ``value``, or, without it, are alike."""
    if wide.empty:
        return pd.Series(dtype=bool)
    value = wide.bfill(axis=1).iloc[:, 0] if value is None else value
    return (wide.eq(value, axis=0) | wide.isna()).all(axis=1)


def _filed_by_all(trials: _Trials, raters: list[str]) -> pd.DataFrame:
    """Cases that each of the raters filed at least once, one row each."""
    filed = trials.ratings[raters].notna().groupby(level="case").any().all(axis=1)
    return trials.wide(raters).loc[filed.index[filed]]


def _fleiss_of(wide: pd.DataFrame) -> float:
    """Fleiss' kappa of the columns of a table as raters."""
    wide = wide[wide.notna().sum(axis=1) > 1] if len(wide) else wide
    names = sorted({name for column in wide for name in wide[column].dropna()})
    if len(names) < 2:
        return np.nan
    codes = np.column_stack([pd.Categorical(wide[c], categories=names).codes for c in wide])
    parts = sums_of_each(codes.astype(int), len(names))
    sums = parts.map(lambda value, _: value.sum(axis=0)[None])
    return float(fleiss(sums, np.eye(len(names)))[0][0])


def _error_shares(single: pd.DataFrame, defect: str) -> dict[str, float]:
    if not defect:
        return {}
    bad, seen = single["right"] == defect, single["given"] == defect
    return {
        "miss": float((~seen[bad]).mean()) if bad.any() else np.nan,
        "false_alarm": float(seen[~bad].mean()) if (~bad).any() else np.nan,
    }
