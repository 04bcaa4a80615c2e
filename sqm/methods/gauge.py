"""How much of the measured variation is the measuring?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats
from scipy.integrate import simpson

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell

SPREAD = 6.0  # standard deviations that a study's variation or a tolerance is said to span
CLASSES = 1.41  # of the AIAG's number of distinct categories, as printed there
EDGES = (0.10, 0.30)  # of the share of study variation
WORDS = ("acceptable", "perhaps acceptable", "not acceptable")
SOURCE = "AIAG 2010"  # Measurement Systems Analysis, 4th edition
# As the AIAG prints them; for other numbers they are computed. K2 is K3 for operators.
K1 = MappingProxyType({2: 0.8862, 3: 0.5908})
K3 = MappingProxyType(
    dict(
        zip(
            range(2, 11),
            (0.7071, 0.5231, 0.4467, 0.4030, 0.3742, 0.3534, 0.3375, 0.3249, 0.3146),
            strict=True,
        )
    )
)
SOURCES = (
    "total gauge",
    "repeatability",
    "reproducibility",
    "operator",
    "interaction",
    "part to part",
    "total",
)
MEAN_SQUARES = ("ms_part", "ms_operator", "ms_interaction", "ms_repeatability")
POOLED, KEPT, RANGE = "interaction pooled", "interaction kept", "average and range"


@dataclass(frozen=True, eq=False)
class GaugeStudy(Finding):
    """Where the variation of repeated measurements comes from.

    Attributes
    ----------
    table : DataFrame, one row per model and source
        ``model`` (``interaction pooled`` or ``interaction kept``, by analysis
        of variance; ``average and range``); ``source``; ``estimate``, ``low``,
        ``high``, its variance, in squared units; ``sd``; ``contribution``,
        ``contribution_low``, ``contribution_high``, the share of the variance
        (0 to 1); ``study_share``, ``study_share_low``, ``study_share_high``,
        the share of the standard deviation (0 to 1, they do not add up);
        ``tolerance_share``, 6 sd over the tolerance; ``note``.
    model : str
        The one that the sentence reports.
    gauge_share, low, high : float
        The measuring's share of the study's standard deviation.
    contribution : float
        Its share of the variance.
    tolerance_share : float
        6 of its standard deviations over the tolerance; NaN without one.
    classes, classes_low, classes_high : float
        Distinct categories of parts it can tell apart, before rounding down.
    classes_by_range : float
        The same by average and range.
    interaction_f, interaction_p : float
        F statistic and p of operators who differ by part.
    ms_part, ms_operator, ms_interaction, ms_repeatability : float
        Mean squares of the analysis of variance.
    parts, operators, times : int
        Parts, operators, and how often each measured each part.
    pool_above : float
        Level of p above which the interaction is pooled.
    left_out : int
        Rows without a value, part or operator.
    word, word_low, word_high, source : str
        Word for the share and the limits of its interval, and whose words they are.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    model: str
    gauge_share: float
    low: float
    high: float
    contribution: float
    tolerance_share: float
    classes: float
    classes_low: float
    classes_high: float
    classes_by_range: float
    interaction_f: float
    interaction_p: float
    ms_part: float
    ms_operator: float
    ms_interaction: float
    ms_repeatability: float
    parts: int
    operators: int
    times: int
    pool_above: float
    left_out: int
    word: str
    word_low: str
    word_high: str
    source: str
    confidence: float

    def sentence(self) -> str:
        share = spell(
            *(100 * x for x in (self.gauge_share, self.low, self.high)),
            confidence=self.confidence,
            digits=1,
            unit="%",
        )
        first = (
            f"The measuring is {share} of the study's variation and tells {self._apart()} of "
            f"parts apart: {self._size()}."
        )
        rest = [self._basis(), self._sources(), self._tolerance(), self._cautions()]
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _apart(self) -> str:
        return f"{int(self.classes)} class{'es' * (int(self.classes) != 1)}"

    def _size(self) -> str:
        if self.word_low == self.word_high:
            return f"{self.word} in the words of {self.source}"
        return (
            f"{self.word} in the words of {self.source} (interval: {self.word_low} to "
            f"{self.word_high})"
        )

    def _basis(self) -> str:
        why = "above" if self.model == POOLED else "not above"
        return (
            f"{counted(self.parts, 'part')}, {counted(self.operators, 'operator')}, "
            f"{self.times} times each; analysis of variance, {self.model}, since p "
            f"{self.interaction_p:.3f} is {why} {self.pool_above:g}. Generalized intervals."
        )

    def _sources(self) -> str:
        rows = self.table[self.table["model"] == self.model].set_index("source")["contribution"]
        return (
            f"Of the variance, {self.contribution:.1%} is the measuring: "
            f"{rows['repeatability']:.1%} the same person measuring again, "
            f"{rows['reproducibility']:.1%} one person against another. By average and range it "
            f"tells {int(self.classes_by_range)} classes apart (before rounding down "
            f"{self.classes_by_range:.2f}, above {self.classes:.2f})."
        )

    def _tolerance(self) -> str:
        if np.isnan(self.tolerance_share):
            return ""
        return f"Six standard deviations of it take {self.tolerance_share:.1%} of the tolerance."

    def _cautions(self) -> str:
        said = "It holds for parts that span the usual range, and for values near normal."
        if self.operators < 5:
            said += (
                f" {self.operators} operators say little of operators at large; the interval "
                "shows it."
            )
        if self.left_out:
            said += (
                f" Left out, without a value, part or operator: {counted(self.left_out, 'row')}."
            )
        return said

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table[(self.table["model"] == self.model) & (self.table["source"] != "total")]
        names = ["estimate", "low", "high"]
        shares = [f"study_share{end}" for end in ("", "_low", "_high")]
        shown = pd.DataFrame({a: 100 * rows[b] for a, b in zip(names, shares, strict=True)})
        meaning = np.where(rows["source"] == "part to part", "other", "usual")
        look.dots(ax, shown, names=rows["source"], meaning=meaning)
        for edge in EDGES:
            ax.axvline(100 * edge, color=look.MEANING["limit"], ls="--", lw=1)
        ax.set_xlim(0, 101)
        return look.label(
            ax,
            title="How much of the measured variation is the measuring?",
            x="share of the study's standard deviation (%; they do not add up; dashed: 10 and 30)",
        )


def gauge_rr(
    measurements: pd.DataFrame,
    *,
    part: str = "part",
    operator: str = "operator",
    value: str = "value",
    tolerance: float | None = None,
    pool_above: float = 0.05,
    confidence: float = 0.95,
    rng: np.random.Generator,
    draws: int = 20_000,
) -> GaugeStudy:
    """Part the variation of measurements among parts, operators and the measuring itself.

    Parameters
    ----------
    measurements : DataFrame, one row per measurement
        Every operator measures every part equally often, twice or more.
    part, operator, value : str
        Columns: what was measured, by whom, and the number found.
    tolerance : float, optional
        Width of the tolerance, in the unit of the values.
    pool_above : float, default 0.05
        The interaction of part and operator is pooled with repeatability where
        its p is above this; the table shows both.
    confidence : float, default 0.95
    rng : Generator
    draws : int, default 20,000
        Of the generalized intervals.

    Returns
    -------
    GaugeStudy

    Raises
    ------
    Problem
        If a column is missing, a value no number, or the tolerance not positive.
    Refusal
        If there are fewer than two parts, operators or times, parts are
        measured unequally often, or every repeat is the same.

    Notes
    -----
    With p parts, o operators, r times and mean squares MS of parts, operators,
    their interaction and the rest: repeatability MS_e; interaction
    (MS_po - MS_e) / r; operator (MS_o - MS_po) / (p r); part
    (MS_p - MS_po) / (o r), none below 0; pooled, the sums of squares of
    interaction and rest are added and MS_e takes the place of MS_po [1]_.
    Generalized intervals [2]_ replace each MS by df MS / chi2, chi2 drawn with
    its df, and take the quantiles of what follows.  Number of distinct categories: 1.41 times the
    standard deviation of parts over that of the gauge, rounded down.

    Average and range [1]_: repeatability K1 R, R the mean range of a cell;
    operators sqrt((K2 X)^2 - EV^2 / (p r)), X the range of their means; parts K3
    times the range of the parts' means.  K1 is 1 / d2; K2 and K3 are 1 / d2*
    of one range, the root of its mean square; where the AIAG prints them, its four
    figures are taken.  It has no interval in common use.

    References
    ----------
    .. [1] Automotive Industry Action Group (2010). Measurement Systems
       Analysis, 4th edition. Southfield: AIAG.
    .. [2] Hamada, M., Weerahandi, S. (2000). Journal of Quality Technology 32,
       241-253.

    Examples
    --------
    Two parts 10 apart, operators alike, every repeat 1 apart: of the sums of
    squares only parts (200, 1 df) and repeats (4 pairs at 0.5: 2, 4 df) are
    not 0; pooled with the interaction (1 df), repeatability is 2 / 5.

    >>> study = pd.DataFrame({"part": list("aaaabbbb"), "operator": list("xxyyxxyy"),
    ...                       "value": [0, 1, 0, 1, 10, 11, 10, 11]})
    >>> found = gauge_rr(study, rng=np.random.default_rng(1))
    >>> found.ms_part, found.ms_repeatability, found.model
    (200.0, 0.5, 'interaction pooled')
    >>> rows = found.table.set_index(["model", "source"])["estimate"]
    >>> round(float(rows["interaction pooled", "repeatability"]), 4)
    0.4
    """
    need_share(confidence, name="confidence")
    need_share(pool_above, name="pool_above")
    if tolerance is not None and not tolerance > 0:
        raise Problem(f"The tolerance is {tolerance}.", "give its width, above 0, or leave it out.")
    cube, left_out = _cube(measurements, part, operator, value)
    anova = _anova(cube)
    model = POOLED if _interaction(anova)[1] > pool_above else KEPT
    drawn = rng.chisquare(np.array(anova.df)[:, None], size=(4, draws))
    by_range = _by_range(cube)
    tables = [
        _model_rows(name, anova, cube.shape, drawn, confidence, tolerance)
        for name in (POOLED, KEPT)
    ]
    tables.append(_range_rows(by_range, tolerance))
    found = _components(model, anova.ms, anova.df, cube.shape)
    might = _components(model, _pivots(model, anova, drawn), anova.df, cube.shape)
    return _study(
        pd.concat(tables, ignore_index=True),
        model=model,
        classes=(float(_classes(found)), *_limits(_classes(might), confidence)),
        classes_by_range=float(_classes(by_range)),
        anova=anova,
        shape=cube.shape,
        pool_above=pool_above,
        left_out=left_out,
        confidence=confidence,
    )


# --- The measurements -----------------------------------------------------------------------------


def _cube(
    measurements: pd.DataFrame, part: str, operator: str, value: str
) -> tuple[np.ndarray, int]:
    """Values by part, operator and time, and how many rows were left out."""
    need_columns(measurements, [part, operator, value], source="the measurements")
    if not pd.api.types.is_numeric_dtype(measurements[value]):
        raise Problem(f"the measurements: {value!r} holds no numbers.", "give it the type number.")
    known = measurements.dropna(subset=[part, operator, value])
    sizes = known.groupby([part, operator], observed=True).size()
    counts = sizes.reindex(
        pd.MultiIndex.from_product([known[part].unique(), known[operator].unique()]), fill_value=0
    )
    _need_balance(counts, known[part].nunique(), known[operator].nunique())
    rows = known.sort_values([part, operator], kind="stable")
    shape = (known[part].nunique(), known[operator].nunique(), int(counts.iloc[0]))
    cube = rows[value].to_numpy(dtype=float).reshape(shape)
    if not np.isfinite(cube).all():
        raise Problem("The measurements hold an infinite value.", "correct the source.")
    if (np.ptp(cube, axis=2) == 0).all():
        raise Refusal(
            "Every operator found the very same value each time.",
            "record finer, or measure again without sight of the first value.",
        )
    return cube, len(measurements) - len(known)


def _need_balance(counts: pd.Series, parts: int, operators: int) -> None:
    if parts < 2 or operators < 2:
        raise Refusal(
            f"The measurements have {counted(parts, 'part')} and "
            f"{counted(operators, 'operator')} with a value.",
            "measure two parts or more by two operators or more.",
        )
    if counts.min() < counts.max():
        name, other = counts.idxmin(), counts.idxmax()
        raise Refusal(
            f"Operators did not measure every part equally often: {name[1]} measured {name[0]} "
            f"{counts.min()} times, {other[1]} measured {other[0]} {counts.max()} times.",
            "measure what is missing; blank values count as missing.",
        )
    if counts.iloc[0] < 2:
        raise Refusal(
            "Every part was measured once only by each operator.",
            "measure each twice or more: once does not tell repeatability from the rest.",
        )


@dataclass(frozen=True)
class _Anova:
    """Mean squares and degrees of freedom of part, operator, interaction and rest."""

    ms: tuple[float, float, float, float]
    df: tuple[int, int, int, int]


def _anova(cube: np.ndarray) -> _Anova:
    p, o, r = cube.shape
    grand, cells = cube.mean(), cube.mean(axis=2)
    parts, operators = cells.mean(axis=1), cells.mean(axis=0)
    both = cells - parts[:, None] - operators + grand
    squares = (
        o * r * ((parts - grand) ** 2).sum(),
        p * r * ((operators - grand) ** 2).sum(),
        r * (both**2).sum(),
        ((cube - cells[:, :, None]) ** 2).sum(),
    )
    df = (p - 1, o - 1, (p - 1) * (o - 1), p * o * (r - 1))
    return _Anova(tuple(float(ss / d) for ss, d in zip(squares, df, strict=True)), df)


def _interaction(anova: _Anova) -> tuple[float, float]:
    f = anova.ms[2] / anova.ms[3]
    return f, float(stats.f.sf(f, anova.df[2], anova.df[3]))


# --- Components -----------------------------------------------------------------------------------


def _components(
    model: str,
    ms: tuple | np.ndarray,
    df: tuple[int, int, int, int],
    shape: tuple[int, int, int],
) -> dict[str, np.ndarray]:
    """Variances by source, none below 0; of mean squares, or of many drawn ones."""
    p, o, r = shape
    part, operator, both, rest = (np.asarray(each, dtype=float) for each in ms)
    if model == POOLED:
        rest = both = (df[2] * both + df[3] * rest) / (df[2] + df[3])
    interaction = np.maximum((both - rest) / r, 0)
    return _whole(
        repeatability=rest,
        operator=np.maximum((operator - both) / (p * r), 0),
        interaction=interaction,
        part=np.maximum((part - both) / (o * r), 0),
    )


def _whole(
    *, repeatability: np.ndarray, operator: np.ndarray, interaction: np.ndarray, part: np.ndarray
) -> dict[str, np.ndarray]:
    reproducibility = operator + interaction
    gauge = repeatability + reproducibility
    values = (gauge, repeatability, reproducibility, operator, interaction, part, gauge + part)
    return dict(zip(SOURCES, values, strict=True))


def _pivots(model: str, anova: _Anova, drawn: np.ndarray) -> np.ndarray:
    """Mean squares that the truth might have, given those seen and draws of chi-square."""
    squares = np.array(anova.ms) * np.array(anova.df)
    if model == POOLED:  # interaction and rest are one sum of squares
        rest = (squares[2] + squares[3]) / (drawn[2] + drawn[3])
        return np.array([squares[0] / drawn[0], squares[1] / drawn[1], rest, rest])
    return squares[:, None] / drawn


def _classes(variances: dict[str, np.ndarray]) -> np.ndarray:
    return CLASSES * np.sqrt(variances["part to part"] / variances["total gauge"])


def _limits(values: np.ndarray, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _model_rows(
    model: str,
    anova: _Anova,
    shape: tuple[int, int, int],
    drawn: np.ndarray,
    confidence: float,
    tolerance: float | None,
) -> pd.DataFrame:
    found = _components(model, anova.ms, anova.df, shape)
    might = _components(model, _pivots(model, anova, drawn), anova.df, shape)
    rows = []
    for source in SOURCES:
        row = _shares(source, found, tolerance)
        part = might[source] / might["total"]
        row["low"], row["high"] = _limits(might[source], confidence)
        row["contribution_low"], row["contribution_high"] = _limits(part, confidence)
        row["study_share_low"], row["study_share_high"] = _limits(np.sqrt(part), confidence)
        row["note"] = "estimated at or below 0, taken as 0" if found[source] == 0 else ""
        if source == "interaction" and model == POOLED:
            row |= {"low": np.nan, "high": np.nan, "note": "pooled with repeatability"}
        rows.append({"model": model} | row)
    return pd.DataFrame(rows)


def _shares(source: str, found: dict[str, np.ndarray], tolerance: float | None) -> dict:
    variance, total = float(found[source]), float(found["total"])
    missing = dict.fromkeys(("contribution_low", "contribution_high"), np.nan)
    return {
        "source": source,
        "estimate": variance,
        "low": np.nan,
        "high": np.nan,
        "sd": float(np.sqrt(variance)),
        "contribution": variance / total,
        **missing,
        "study_share": float(np.sqrt(variance / total)),
        "study_share_low": np.nan,
        "study_share_high": np.nan,
        "tolerance_share": np.nan if tolerance is None else SPREAD * np.sqrt(variance) / tolerance,
    }


# --- Average and range ----------------------------------------------------------------------------


def _by_range(cube: np.ndarray) -> dict[str, np.ndarray]:
    p, o, r = cube.shape
    repeat = np.ptp(cube, axis=2).mean() * K1.get(r, 1 / _expected_range(r)[0])
    apart = np.ptp(cube.mean(axis=(0, 2))) * K3.get(o, 1 / _expected_range(o)[1])
    between = max(apart**2 - repeat**2 / (p * r), 0.0)
    part = np.ptp(cube.mean(axis=(1, 2))) * K3.get(p, 1 / _expected_range(p)[1])
    return _whole(
        repeatability=np.array(repeat**2),
        operator=np.array(between),
        interaction=np.array(0.0),
        part=np.array(part**2),
    )


@cache
def _expected_range(n: int) -> tuple[float, float]:
    """Mean (d2) and root mean square (d2* of one) of the range of n standard normal values.

    The range is at most w with chance n times the integral of
    phi(x) (Phi(x + w) - Phi(x))^(n - 1).
    """
    x, w = np.linspace(-8.5, 8.5, 681), np.linspace(0, 12, 481)
    inside = (stats.norm.cdf(x[:, None] + w) - stats.norm.cdf(x)[:, None]) ** (n - 1)
    above = 1 - n * simpson(stats.norm.pdf(x)[:, None] * inside, x=x, axis=0)
    return float(simpson(above, x=w)), float(np.sqrt(simpson(2 * w * above, x=w)))


def _range_rows(found: dict[str, np.ndarray], tolerance: float | None) -> pd.DataFrame:
    rows = []
    for source in SOURCES:
        if source != "interaction":
            row = {"model": RANGE} | _shares(source, found, tolerance)
            rows.append(row | {"note": "no interval in common use"})
    return pd.DataFrame(rows)


# --- The answer -----------------------------------------------------------------------------------


def _word(share: float) -> str:
    return WORDS[int(np.searchsorted(EDGES, share, side="left"))]


def _study(
    table: pd.DataFrame,
    *,
    model: str,
    classes: tuple[float, float, float],
    classes_by_range: float,
    anova: _Anova,
    shape: tuple[int, int, int],
    pool_above: float,
    left_out: int,
    confidence: float,
) -> GaugeStudy:
    gauge = table[table["model"] == model].set_index("source").loc["total gauge"]
    share, low, high = (float(gauge[f"study_share{end}"]) for end in ("", "_low", "_high"))
    f, p = _interaction(anova)
    return GaugeStudy(
        table=table,
        model=model,
        gauge_share=share,
        low=low,
        high=high,
        contribution=float(gauge["contribution"]),
        tolerance_share=float(gauge["tolerance_share"]),
        classes=classes[0],
        classes_low=classes[1],
        classes_high=classes[2],
        classes_by_range=classes_by_range,
        interaction_f=f,
        interaction_p=p,
        **dict(zip(MEAN_SQUARES, anova.ms, strict=True)),
        **dict(zip(("parts", "operators", "times"), shape, strict=True)),
        pool_above=pool_above,
        left_out=left_out,
        word=_word(share),
        word_low=_word(low),
        word_high=_word(high),
        source=SOURCE,
        confidence=confidence,
    )
