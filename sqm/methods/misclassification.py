"""What is the defect rate when records are sometimes wrong?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_one_of, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell, wilson

DRAWN = ("at random", "by record")
FEWEST = 5  # audited records of a kind, below which their share says nothing
SHARES = ("estimate", "low", "high")


@dataclass(frozen=True, eq=False)
class CorrectedRate(Finding):
    """How often each CTQ fails, once wrong records are allowed for.

    Attributes
    ----------
    table : DataFrame, one row per CTQ
        ``ctq``; ``n`` records and ``defects`` recorded; ``recorded``,
        ``recorded_low``, ``recorded_high``, that share; ``audited`` records;
        ``estimate``, ``low``, ``high``, the corrected share (0 to 1);
        ``uncut``, the same before it was cut off at 0 and 1; ``sensitivity``,
        ``sensitivity_low``, ``sensitivity_high``, the share of true defects
        that are recorded, and ``specificity`` with its limits, the share of
        good cases recorded as good (both missing if the audit was drawn by
        record); ``if_recorded`` and ``if_not_recorded`` with their limits, the
        share of true defects among records with and without one; ``note``.
    drawn : str
        ``at random`` or ``by record``.
    moved : tuple of str
        CTQs whose corrected interval leaves out the recorded share.
    left_out : int
        Audit rows without what was recorded, what was found or the CTQ.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    drawn: str
    moved: tuple[str, ...]
    left_out: int
    confidence: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        apart = (known["estimate"] - known["recorded"]).abs()
        row = known.loc[apart.idxmax()]
        first = (
            f"With wrong records allowed for, {look.shorten(row['ctq'], width=50)} fails in "
            f"{self._share(row)} of cases, where {100 * row['recorded']:.1f} % are recorded."
        )
        rest = [self._moved(known), self._others(known, row), self._how(row), self._cut(known)]
        rest.append(self._unsaid())
        if self.left_out:
            rest.append(
                "Left out of the audit, without what was recorded or found: "
                f"{counted(self.left_out, 'row')}."
            )
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _share(self, row: pd.Series) -> str:
        limits = (100 * row[name] for name in SHARES)
        return spell(*limits, confidence=self.confidence, digits=1, unit="%")

    def _moved(self, known: pd.DataFrame) -> str:
        return (
            f"The audit moves {len(self.moved)} of {counted(len(known), 'CTQ')} beyond doubt (the "
            "corrected interval leaves out the recorded share)."
        )

    def _others(self, known: pd.DataFrame, shown: pd.Series) -> str:
        each = [
            f"{look.shorten(row['ctq'], width=30)} {self._share(row)}, recorded "
            f"{100 * row['recorded']:.1f} %"
            for _, row in known.iterrows()
            if row["ctq"] != shown["ctq"]
        ]
        return f"The others: {'; '.join(each)}." if each else ""

    def _how(self, row: pd.Series) -> str:
        if self.drawn == "by record":
            return (
                f"Of the first, {row['if_recorded']:.0%} of recorded defects were true and "
                f"{row['if_not_recorded']:.1%} of the others were defects all the same, on "
                f"{row['audited']} records audited, drawn by what was recorded."
            )
        return (
            f"Of the first, records show {row['sensitivity']:.0%} of true defects and pass "
            f"{row['specificity']:.0%} of good cases, on {row['audited']} records audited, drawn "
            "at random; it holds where the records counted are as reliable as those audited."
        )

    def _cut(self, known: pd.DataFrame) -> str:
        cut = known[(known["uncut"] < 0) | (known["uncut"] > 1)]
        each = ", ".join(f"{row.ctq} {100 * row.uncut:.1f} %" for row in cut.itertuples())
        return f"Outside 0 to 100 % before it was cut off: {each}." if each else ""

    def _unsaid(self) -> str:
        rest = self.table[self.table["estimate"].isna()]
        each = "; ".join(f"{row.ctq} ({row.note})" for row in rest.itertuples())
        return f"Not corrected: {each}." if each else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        percent = self.table.assign(**100 * self.table[list(SHARES)])
        worse = np.where(
            ~self.table["ctq"].isin(self.moved),
            "usual",
            np.where(self.table["estimate"] > self.table["recorded"], "worse", "better"),
        )
        look.dots(ax, percent, names=self.table["ctq"], meaning=worse)
        at = np.arange(len(percent))
        grey = look.MEANING["limit"]
        recorded = 100 * percent["recorded"]
        ax.plot(recorded, at, ls="", marker="|", ms=16, mew=2.5, color=grey)
        ax.set_xlim(left=0)
        return look.label(
            ax,
            title="What is the defect rate when records are sometimes wrong?",
            x="share of defects, % (grey bar: as recorded)",
        )


def corrected_rate(
    audit: pd.DataFrame,
    *,
    counts: pd.DataFrame,
    drawn: str = "at random",
    confidence: float = 0.95,
) -> CorrectedRate:
    """Correct recorded defect rates by what an audit of the records found.

    Parameters
    ----------
    audit : DataFrame, one row per audited record
        ``ctq``; ``recorded``, whether the record says defect; ``found``,
        whether the audit does.
    counts : DataFrame, one row per CTQ
        ``ctq``, ``n`` records and ``defects`` recorded, such as the table of a
        baseline; with ``effective_n``, the records that are independent, it
        sets the precision of the recorded share.
    drawn : {"at random", "by record"}
        Whether audited records were drawn regardless of what they say, or so
        many of those with and so many of those without a recorded defect.
    confidence : float, default 0.95

    Returns
    -------
    CorrectedRate
        A CTQ without enough audited records, or whose records tell no defect
        from none, gets NaN and a note.

    Raises
    ------
    Problem
        If a column is missing, ``recorded`` or ``found`` is no flag, ``drawn``
        is unknown, or more defects than records are counted.
    Refusal
        If no CTQ can be corrected.

    Notes
    -----
    At random: with sensitivity Se, specificity Sp and recorded share p, the
    share is (p + Sp - 1) / (Se + Sp - 1) [1]_.  Its interval is Lang and
    Reiczigel's [2]_: p gets z^2 / 2 more defects in z^2 more records, Se and Sp
    one more success in two more trials; the variance then is
    [p (1 - p) / n + P^2 Se (1 - Se) / n_Se + (1 - P)^2 Sp (1 - Sp) / n_Sp] /
    (Se + Sp - 1)^2, the centre P + 2 z^2 [P Se (1 - Se) / n_Se -
    (1 - P) Sp (1 - Sp) / n_Sp].  Where the interval of Se + Sp - 1 reaches 0, nothing is said.
    It is conservative where few true defects are audited, and, since audit and
    counts are taken as independent, where the audited records are among those counted.

    By record: p a + (1 - p) b, a and b the shares of true defects among
    audited records with and without a recorded one; sensitivity and
    specificity cannot be had from such an audit without p.  The interval puts
    together the Wilson intervals of p, a and b (MOVER [3]_); it is conservative
    where few are audited.  It holds for a random audit of the same records too,
    and is then the narrower of the two.

    References
    ----------
    .. [1] Rogan, W. J., Gladen, B. (1978). American Journal of Epidemiology
       107, 71-76. doi:10.1093/oxfordjournals.aje.a112510
    .. [2] Lang, Z., Reiczigel, J. (2014). Preventive Veterinary Medicine 113,
       13-22. doi:10.1016/j.prevetmed.2013.09.015
    .. [3] Zou, G. Y., Donner, A. (2008). Statistics in Medicine 27, 1693-1702.
       doi:10.1002/sim.3095

    Examples
    --------
    Se = 8/10, Sp = 27/30 = 0.9, recorded 24 of 100: (0.24 - 0.1) / 0.7 = 0.2.

    >>> audit = pd.DataFrame({"ctq": "quick", "recorded": [True] * 8 + [False] * 2 + [True] * 3
    ...                       + [False] * 27, "found": [True] * 10 + [False] * 30})
    >>> counts = pd.DataFrame({"ctq": ["quick"], "n": [100], "defects": [24]})
    >>> round(float(corrected_rate(audit, counts=counts).table["estimate"][0]), 6)
    0.2
    """
    need_share(confidence, name="confidence")
    need_one_of(drawn, DRAWN, name="drawn")
    _need_counts(counts)
    known = _known(audit)
    rows = [
        _row(ctq, known[known["ctq"] == ctq["ctq"]], drawn, confidence)
        for ctq in counts.to_dict("records")
    ]
    table = pd.DataFrame(rows)
    if table["estimate"].isna().all():
        each = "; ".join(f"{row['ctq']}: {row['note']}" for row in rows[:3])
        raise Refusal(
            f"No defect rate can be corrected ({each}).",
            "audit more records; draw them by what was recorded if defects are rare.",
        )
    moved = (table["low"] > table["recorded"]) | (table["high"] < table["recorded"])
    return CorrectedRate(
        table=table,
        drawn=drawn,
        moved=tuple(table.loc[moved, "ctq"]),
        left_out=len(audit) - len(known),
        confidence=confidence,
    )


def audit_by_standard(
    ratings: pd.DataFrame,
    *,
    defect: str,
    rater: str = "coder_a",
    standard: str = "standard",
    case: str = "complaint",
) -> pd.DataFrame:
    """Read a rater's categories against the standard as an audit of one category.

    Parameters
    ----------
    ratings : DataFrame, one row per case
    defect : str
        The category that counts as the defect; it is the audit's CTQ too.
    rater, standard, case : str
        Columns: what was filed, what is right, and the case.

    Returns
    -------
    DataFrame
        ``ctq``, ``record``, ``recorded``, ``found``, as `corrected_rate` takes them; cases that
        lack either category are left out.

    Examples
    --------
    >>> ratings = pd.DataFrame({"complaint": [1, 2], "coder_a": ["late", "rude"],
    ...                         "standard": ["late", "late"]})
    >>> audit_by_standard(ratings, defect="late")[["recorded", "found"]].values.tolist()
    [[True, True], [False, True]]
    """
    need_columns(ratings, [case, rater, standard], source="the ratings")
    known = ratings.dropna(subset=[rater, standard])
    columns = {
        "ctq": defect,
        "record": known[case],
        "recorded": known[rater].astype(str) == defect,
        "found": known[standard].astype(str) == defect,
    }
    return pd.DataFrame(columns, index=known.index)


def _need_counts(counts: pd.DataFrame) -> None:
    need_columns(counts, ["ctq", "n", "defects"], source="the counts")
    odd = counts[(counts["defects"] > counts["n"]) | (counts["defects"] < 0)]
    if len(odd):
        row = odd.iloc[0]
        raise Problem(
            f"The counts: {row['ctq']!r} has {row['defects']} defects in {row['n']} records.",
            "count records and the defects among them.",
        )
    if counts["ctq"].duplicated().any():
        raise Problem("The counts name a CTQ twice.", "give one row to each CTQ.")


def _known(audit: pd.DataFrame) -> pd.DataFrame:
    need_columns(audit, ["ctq", "recorded", "found"], source="the audit")
    known = audit.dropna(subset=["ctq", "recorded", "found"])
    try:
        flags = known[["recorded", "found"]].astype("boolean").astype(bool)
    except (TypeError, ValueError):
        raise Problem(
            "the audit: 'recorded' or 'found' is no flag.", "give both the type flag."
        ) from None
    return known[["ctq"]].assign(**flags)


@dataclass(frozen=True)
class _Share:
    """A share of ``n`` with its interval."""

    hits: float
    n: float
    estimate: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        return {name: self.estimate, f"{name}_low": self.low, f"{name}_high": self.high}


def _share_of(hits: float, n: float, confidence: float, effective: float | None = None) -> _Share:
    if not n:
        return _Share(0, 0, np.nan, np.nan, np.nan)
    low, high = wilson(hits / n, effective or n, confidence=confidence)
    return _Share(hits, effective or n, hits / n, low, high)


def _row(ctq: dict, audit: pd.DataFrame, drawn: str, confidence: float) -> dict:
    """One CTQ: what was recorded, how good records are, and what follows."""
    effective = ctq.get("effective_n")
    effective = None if effective is None or not effective > 0 else float(effective)
    p = _share_of(ctq["defects"], ctq["n"], confidence, effective)
    said, true = audit["recorded"], audit["found"]

    def among(hits: pd.Series, those: pd.Series) -> _Share:
        return _share_of(int((hits & those).sum()), int(those.sum()), confidence)

    parts = {
        "sensitivity": among(said, true),
        "specificity": among(~said, ~true),
        "if_recorded": among(true, said),
        "if_not_recorded": among(true, ~said),
    }
    note = _cannot(p, parts, drawn, confidence)
    correct = _by_record if drawn == "by record" else _at_random
    uncut, low, high = (np.nan,) * 3 if note else correct(p, parts, confidence)
    if drawn == "by record":
        parts |= dict.fromkeys(("sensitivity", "specificity"), _share_of(0, 0, confidence))
    return {
        "ctq": ctq["ctq"],
        "n": ctq["n"],
        "defects": ctq["defects"],
        **p.columns("recorded"),
        "audited": len(audit),
        "estimate": float(np.clip(uncut, 0, 1)),
        "low": float(np.clip(low, 0, 1)),
        "high": float(np.clip(high, 0, 1)),
        "uncut": uncut,
        **{
            key: value
            for name, share in parts.items()
            for key, value in share.columns(name).items()
        },
        "note": note,
    }


def _cannot(p: _Share, parts: dict[str, _Share], drawn: str, confidence: float) -> str:
    """Why the rate of a CTQ cannot be corrected; empty if it can."""
    if np.isnan(p.estimate):
        return "no record is counted"
    if drawn == "by record":
        kinds = [("with a recorded defect", parts["if_recorded"], p.estimate > 0)]
        kinds += [("without one", parts["if_not_recorded"], p.estimate < 1)]
    else:
        kinds = [("that are truly defects", parts["sensitivity"], True)]
        kinds += [("that are truly good", parts["specificity"], True)]
    for words, share, needed in kinds:
        if needed and share.n < FEWEST:
            return f"only {share.n} audited records {words}, where {FEWEST} are needed"
    if drawn == "at random" and _youden(parts, confidence) <= 0:
        return "records hardly tell a defect from none: sensitivity and specificity add up to 1"
    return ""


def _raised(share: _Share) -> tuple[float, float]:
    """A share with one more success in two more trials, and those trials."""
    return (share.hits + 1) / (share.n + 2), share.n + 2


def _youden(parts: dict[str, _Share], confidence: float) -> float:
    """Lower limit of sensitivity + specificity - 1."""
    (se, n_se), (sp, n_sp) = _raised(parts["sensitivity"]), _raised(parts["specificity"])
    spread = np.sqrt(se * (1 - se) / n_se + sp * (1 - sp) / n_sp)
    return float(se + sp - 1 - stats.norm.ppf((1 + confidence) / 2) * spread)


def _at_random(
    p: _Share, parts: dict[str, _Share], confidence: float
) -> tuple[float, float, float]:
    """Rogan and Gladen's share with Lang and Reiczigel's interval."""
    sharp = parts["sensitivity"].estimate + parts["specificity"].estimate - 1
    estimate = (p.estimate + parts["specificity"].estimate - 1) / sharp if sharp else np.nan
    (se, n_se), (sp, n_sp) = _raised(parts["sensitivity"]), _raised(parts["specificity"])
    z2 = stats.norm.ppf((1 + confidence) / 2) ** 2
    n = p.n + z2
    recorded = (p.estimate * p.n + z2 / 2) / n
    true = (recorded + sp - 1) / (se + sp - 1)
    error_se, error_sp = se * (1 - se) / n_se, sp * (1 - sp) / n_sp
    centre = true + 2 * z2 * (true * error_se - (1 - true) * error_sp)
    variance = recorded * (1 - recorded) / n + true**2 * error_se + (1 - true) ** 2 * error_sp
    half = np.sqrt(z2 * variance) / (se + sp - 1)
    return float(estimate), float(centre - half), float(centre + half)


def _by_record(
    p: _Share, parts: dict[str, _Share], confidence: float
) -> tuple[float, float, float]:
    """Recorded and unrecorded defects put together, each with its Wilson interval."""
    nothing = _share_of(0, 0, confidence)
    a = parts["if_recorded"] if p.estimate > 0 else nothing
    b = parts["if_not_recorded"] if p.estimate < 1 else nothing
    weights = np.array([p.estimate, 1 - p.estimate, np.nan_to_num(a.estimate - b.estimate)])
    middle = np.array([a.estimate, b.estimate, p.estimate])
    low, high = np.array([a.low, b.low, p.low]), np.array([a.high, b.high, p.high])
    down = np.where(weights >= 0, middle - low, high - middle)
    up = np.where(weights >= 0, high - middle, middle - low)
    estimate = float(np.nansum(weights[:2] * middle[:2]))
    lower = np.sqrt(np.nansum((weights * down) ** 2))
    upper = np.sqrt(np.nansum((weights * up) ** 2))
    return estimate, float(estimate - lower), float(estimate + upper)
