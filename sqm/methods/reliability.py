"""Do the items of a survey scale agree with each other?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import factors, look, measurement_model, scales
from sqm.checks import Problem, Refusal, need_on_scale
from sqm.finding import Finding, counted
from sqm.interval import below_one, spell, standard_error
from sqm.polychoric import influence, polychoric

GROUPS = 3  # group factors of omega total and omega hierarchical, as psych's omega
FEWEST_FOR_GROUPS = 6  # items that three groups need
JACKKNIFED = 50  # groups of respondents left out in turn for the errors of these two
SALIENT = 0.2  # loading from which an item counts as one of a group; each needs two
MOST_HALVES = 2_000  # splits beyond which (15 items) so many are drawn by chance
COEFFICIENTS = (  # in the order of the table
    "omega (one factor)",
    "alpha",
    "Spearman-Brown",
    "split-half (mean of splits)",
    "lambda 2",
    "lambda 4 (best split)",
    "lambda 6",
    "ordinal alpha",
    f"omega total ({GROUPS} groups)",
    f"omega hierarchical ({GROUPS} groups)",
)
ALIKE = "are answered alike by everyone"
LEADING = ("omega (one factor)", "Spearman-Brown", "alpha")  # the first that can be given speaks


@dataclass(frozen=True, eq=False)
class Reliability(Finding):
    """Internal consistency of each scale of a survey.

    Attributes
    ----------
    table : DataFrame, one row per dimension
        ``dimension``; ``items``; ``respondents`` who answered all of them;
        ``left_out``, who left one blank; ``estimate``, ``low``, ``high``,
        Cronbach's alpha (two items: Spearman-Brown); ``weakest_item``, whose
        absence leaves alpha highest; ``alpha_without_weakest``; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    turned : tuple of str
        Items that had been turned round before.
    """

    confidence: float
    turned: tuple[str, ...]

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        if known.empty:
            return f"No scale's consistency can be given: {self._unsaid()}"
        worst, best = known.loc[known["estimate"].idxmin()], known.loc[known["estimate"].idxmax()]
        words = [f"The items agree least for {self._one(worst)}"]
        words[0] += f" and most for {self._one(best)}." if worst.name != best.name else "."
        words[0] += "\n"
        words.append(
            "The coefficient is Cronbach's alpha (1: the items say the same, 0: they share "
            "nothing) with Feldt's interval, on the respondents who answered every item of the "
            f"scale ({self._blanks(known['left_out'])} left one blank)."
        )
        two = known.loc[known["items"] == 2, "dimension"]
        if len(two):
            words.append(f"Two items only, so Spearman-Brown instead: {', '.join(two)}.")
        words += [f"{row.note}." for row in known.itertuples() if ALIKE in row.note]
        words += [self._gain(row) for row in known.itertuples() if _gains(row)]
        if self.turned:
            words.append(f"Turned round before: {', '.join(self.turned)}.")
        if len(known) < len(self.table):
            words.append(f"Not given: {self._unsaid()}")
        return " ".join(words).replace("\n ", "\n")

    def _one(self, row: pd.Series) -> str:
        found = _spelt(row["estimate"], row["low"], row["high"], self.confidence)
        return f"{row['dimension']}: {found} on {row['respondents']:,} respondents"

    def _blanks(self, left_out: pd.Series) -> str:
        least, most = left_out.min(), left_out.max()
        return f"{least:,} to {most:,}" if most > least else f"{most:,}" if most else "nobody"

    def _gain(self, row) -> str:
        return (
            f"Without {row.weakest_item}, {row.dimension} would reach "
            f"{row.alpha_without_weakest:.2f}."
        )

    def _unsaid(self) -> str:
        rest = self.table[self.table["estimate"].isna()]
        return "; ".join(f"{row.dimension} ({row.note})" for row in rest.itertuples()) + "."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [f"{row.dimension} ({row.items} items)" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names)
        gain = [row for row in self.table.itertuples() if _gains(row)]
        if gain:
            ax.plot(
                [row.alpha_without_weakest for row in gain],
                [row.Index for row in gain],
                marker=look.MARKER["better"],
                color=look.MEANING["better"],
                ls="",
                mfc="none",
                label="without the weakest item",
            )
            ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="Do the items of each scale agree?",
            x="Cronbach's alpha (1: they say the same)",
        )


@dataclass(frozen=True, eq=False)
class ReliabilityCard(Finding):
    """Every common coefficient of reliability of each scale, with its interval.

    Attributes
    ----------
    table : DataFrame, one row per dimension and coefficient
        ``dimension``; ``coefficient``; ``items``; ``respondents`` who answered all of them;
        ``left_out``, who left one blank; ``turned``, its items turned round before;
        ``estimate``, ``low``, ``high`` (1: no chance in the score); ``leading``, whether the
        sentence speaks of it; ``note``, why something is missing or to be read with care.
    confidence : float
        Level of the intervals, 0 to 1.
    turned : tuple of str
        Items that had been turned round before.
    """

    confidence: float
    turned: tuple[str, ...]

    def sentence(self) -> str:
        leading = self.table[self.table["leading"]]
        if leading.empty:
            return f"No scale's reliability can be given: {'; '.join(self._silent())}."
        worst = leading.loc[leading["estimate"].idxmin()]
        best = leading.loc[leading["estimate"].idxmax()]
        first = f"Reliability is lowest for {self._one(worst)}"
        first += f", and highest for {self._one(best)}." if len(leading) > 1 else "."
        lines = [first, *(self._line(row) for row in leading.itertuples())]
        return "\n".join([*lines, " ".join(self._conventions(leading))])

    def _one(self, row) -> str:
        found = self._spelt(row["estimate"], row["low"], row["high"])
        return f"{row['dimension']}: {_short(row['coefficient'])} {found}"

    def _spelt(self, estimate: float, low: float, high: float) -> str:
        return _spelt(estimate, low, high, self.confidence)

    def _line(self, row) -> str:
        """One scale: coefficient, interval, what it rests on, what was turned."""
        found = self._spelt(row.estimate, row.low, row.high)
        words = (
            f"{row.dimension} ({counted(row.items, 'item')}): {row.coefficient} {found}"
            f"{self._beside(row)}, {counted(row.respondents, 'respondent')}, "
            f"{row.left_out:,} with a blank left out"
        )
        return words + (f"; turned round before: {row.turned}." if row.turned else ".")

    def _beside(self, row) -> str:
        rows = self.table[self.table["dimension"] == row.dimension].set_index("coefficient")
        known = rows.dropna(subset=["low", "high"])["estimate"]
        beside = [name for name in ("alpha", *COEFFICIENTS[-2:]) if name in known.index]
        beside = [f"{name} {known[name]:.2f}" for name in beside if name != row.coefficient]
        return f", {', '.join(beside)}" if beside else ""

    def _conventions(self, leading: pd.DataFrame) -> list[str]:
        words = [
            "The share of the spread of a scale's sum that is not chance; rows with a blank in the "
            "scale are left out of all its coefficients.",
        ]
        used = set(leading["coefficient"])
        if LEADING[0] in used:
            words.append(
                "Omega is that of one factor by maximum likelihood, its interval allowing for "
                "answers that are not normal; it presumes that one factor is enough."
            )
        if "Spearman-Brown" in used:
            words.append("Two items have Spearman-Brown.")
        words.append(
            "Alpha has Feldt's interval. Ordinal alpha speaks of the lines behind the answers, not "
            "of the score in use: read it beside the others, never instead."
        )
        grouped = self.table[self.table["coefficient"].isin(COEFFICIENTS[-2:])]
        if grouped["low"].notna().any():
            words.append("The intervals of omega total and hierarchical are approximate.")
        instead = leading[leading["coefficient"].eq("alpha")]
        if len(instead):
            words.append(f"Omega could not be given for {', '.join(instead['dimension'])}.")
        silent = self._silent()
        return words + ([f"Not given at all: {'; '.join(silent)}."] if silent else [])

    def _silent(self) -> list[str]:
        spoken = set(self.table.loc[self.table["leading"], "dimension"])
        rest = self.table[~self.table["dimension"].isin(spoken)].drop_duplicates("dimension")
        return [f"{row.dimension} ({row.note})" for row in rest.itertuples()]

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        shown = self.table[self.table["coefficient"].isin([*LEADING, "ordinal alpha"])]
        shown = shown.dropna(subset="estimate")
        meaning = ["usual" if row.leading else "other" for row in shown.itertuples()]
        names = [f"{row.dimension} · {row.coefficient}" for row in shown.itertuples()]
        look.dots(ax, shown, names=names, meaning=meaning)
        return look.label(
            ax,
            title="How much of each scale's score is not chance?",
            x="reliability (1: no chance; round: the coefficient of the sentence)",
        )


@dataclass(frozen=True, eq=False)
class ItemTable(Finding):
    """How each item of each scale behaves.

    Attributes
    ----------
    table : DataFrame, one row per item
        ``dimension``, ``item``, ``respondents``; ``mean`` and ``sd`` in scale
        points; ``estimate``, ``low``, ``high``, the correlation with the sum of
        the other items (-1 to 1); ``alpha_without``, the scale's alpha if the
        item were dropped (NaN below three items); ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    """

    confidence: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="estimate")
        if known.empty:
            return "No item can be judged against its scale (see the notes)."
        weakest = known.loc[known["estimate"].idxmin()]
        found = spell(
            weakest["estimate"], weakest["low"], weakest["high"], confidence=self.confidence
        )
        return (
            f"Of {len(known)} items, {weakest['item']} goes least with the rest of its scale "
            f"({weakest['dimension']}): correlation {found} on {weakest['respondents']} "
            f"respondents. The next lies at {known['estimate'].nsmallest(2).iloc[-1]:.2f}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        names = [f"{row.dimension} · {row.item}" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names)
        ax.axvline(0, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="How far does each item go with its scale?",
            x="correlation with the other items of the scale",
        )


def cronbach_alpha(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    confidence: float = 0.95,
    turned: Iterable[str] = (),
) -> Reliability:
    """Measure how far the items of each scale agree.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers in scale points, items worded in reverse already turned round.
    dimensions : dict of str to list of str
        The items of each scale.
    confidence : float, default 0.95
        Level of the intervals, between 0 and 1.
    turned : iterable of str
        Items that were turned round, to be named in the sentence.

    Returns
    -------
    Reliability
        A scale of one item, with an item that never varies, or with fewer than four complete
        rows gets NaN and a note.

    Raises
    ------
    Problem
        If an item is missing from ``answers``.

    Notes
    -----
    With k items, item variances s_i^2 and variance s^2 of the total,
    alpha = k / (k - 1) * (1 - sum(s_i^2) / s^2) [1]_.  Its interval is
    1 - (1 - alpha) F with F the quantiles of F(n - 1, (n - 1)(k - 1)) [2]_.
    A row with a blank in the scale is left out before anything is computed, so
    that alpha and its interval rest on the same respondents.  Two items:
    2 r / (1 + r) [3]_, the limits those of r by Fisher's z.

    References
    ----------
    .. [1] Cronbach, L. J. (1951). Psychometrika 16, 297-334.
       doi:10.1007/BF02310555
    .. [2] Feldt, L. S., Woodruff, D. J., Salih, F. A. (1987). Applied
       Psychological Measurement 11, 93-103. doi:10.1177/014662168701100107
    .. [3] Eisinga, R., te Grotenhuis, M., Pelzer, B. (2013). International
       Journal of Public Health 58, 637-642. doi:10.1007/s00038-012-0416-3

    Examples
    --------
    Item variances 5/3, 4/3, 8/3 sum to 17/3; totals 4, 7, 10, 13 have
    variance 15: alpha is 3/2 (1 - 17/45).

    >>> answers = pd.DataFrame({"polite": [1, 2, 3, 4], "patient": [2, 2, 4, 4],
    ...                         "listens": [1, 3, 3, 5]})
    >>> found = cronbach_alpha(answers, dimensions={"courtesy": list(answers)})
    >>> round(float(found.table["estimate"][0]), 4)
    0.9333
    """
    scales.need_scales(answers, dimensions, confidence)
    rows = [_scale_row(name, answers[items], confidence) for name, items in dimensions.items()]
    return Reliability(
        table=pd.DataFrame(rows),
        confidence=confidence,
        turned=tuple(dict.fromkeys(turned)),
    )


def reliability_card(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    points: tuple[float, float],
    rng: np.random.Generator,
    confidence: float = 0.95,
    turned: Iterable[str] = (),
) -> ReliabilityCard:
    """Give every common coefficient of reliability of each scale, with its interval.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers in scale points, items worded in reverse already turned round.
    dimensions : dict of str to list of str
    points : tuple of float
        Lowest and highest answer.
    rng : numpy.random.Generator
        Draws the splits of scales of fifteen items or more, and the groups of the jackknife.
    confidence : float, default 0.95
    turned : iterable of str
        Items that were turned round, to be named.

    Returns
    -------
    ReliabilityCard
        What cannot be given has NaN and a note beside the rest.

    Raises
    ------
    Problem
        If an item is missing, holds no numbers, or has answers off the scale.

    Notes
    -----
    All on the complete rows of the scale, of covariances unless said.

    - omega (one factor): (sum l)^2 / ((sum l)^2 + sum t) of loadings l and residual variances t of
      one factor by maximum likelihood [1]_; delta method with robust standard errors.
    - alpha: Feldt's interval, exact for parallel normal items.  Spearman-Brown: two items.
    - split-half: mean over all splits into halves (fifteen items or more: over 2,000 drawn) of the
      halves' correlation stepped up by Spearman-Brown, by Horst's formula if unequal.  The mean of
      Guttman's formula over splits would be alpha again.
    - lambda 2, 4 and 6: Guttman's lower bounds [2]_.  Lambda 4 is the best of all splits, picked by
      chance too, so it has no interval.
    - ordinal alpha: alpha of polychoric correlations [3]_.
    - omega total and hierarchical: 1 - sum u^2 / V and (sum g)^2 / V, with V the sum of the
      correlations, of three minres factors, oblimin, Schmid and Leiman; six items or more; as psych
      gives them [4]_.  Where a group has fewer than two items that load 0.2, as in a scale of one
      factor, the general factor is not to be told from the groups: a note, and no interval.

    Intervals other than alpha's and Spearman-Brown's come from each respondent's influence on the
    coefficient, those of omega total and hierarchical from a jackknife of 50 random groups; all are
    symmetric in log(1 - coefficient), and no distribution is assumed.  Omega total is a little too
    high in small samples, so that its interval is approximate (about 90 % at 100 respondents).

    References
    ----------
    .. [1] McDonald, R. P. (1999). Test Theory: A Unified Treatment. Erlbaum.
    .. [2] Guttman, L. (1945). Psychometrika 10, 255-282. doi:10.1007/BF02288892
    .. [3] Zumbo, B. D., Gadermann, A. M., Zeisser, C. (2007). Journal of Modern Applied
       Statistical Methods 6, 21-29. doi:10.22237/jmasm/1177992180
    .. [4] Revelle, W., Zinbarg, R. E. (2009). Psychometrika 74, 145-154.
       doi:10.1007/s11336-008-9102-z

    Examples
    --------
    Item variances 5/3, 4/3, 8/3 sum to 17/3; totals 4, 7, 10, 13 have variance 15.

    >>> answers = pd.DataFrame({"polite": [1, 2, 3, 4], "patient": [2, 2, 4, 4],
    ...                         "listens": [1, 3, 3, 5]})
    >>> card = reliability_card(answers, dimensions={"courtesy": list(answers)}, points=(1, 7),
    ...                         rng=np.random.default_rng(1))
    >>> round(float(card.table.set_index("coefficient").loc["alpha", "estimate"]), 4)
    0.9333
    """
    turned = tuple(dict.fromkeys(turned))
    scales.need_scales(answers, dimensions, confidence)
    members = dict.fromkeys(item for items in dimensions.values() for item in items)
    need_on_scale(answers[list(members)], points=points, source=scales.SOURCE)
    rows = [
        _card_rows(name, answers[items], confidence, rng, turned)
        for name, items in dimensions.items()
    ]
    table = pd.concat(rows, ignore_index=True)
    return ReliabilityCard(table=table, confidence=confidence, turned=turned)


def item_table(
    answers: pd.DataFrame, *, dimensions: dict[str, list[str]], confidence: float = 0.95
) -> ItemTable:
    """Show how each item of each scale behaves, on the complete rows of its scale.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Items worded in reverse already turned round.
    dimensions : dict of str to list of str
    confidence : float, default 0.95

    Returns
    -------
    ItemTable

    Notes
    -----
    The correlation of an item with the sum of the others (corrected item-total
    correlation) has Fisher's z interval.

    Examples
    --------
    ``a`` against b + c = 3, 5, 7, 9 rises in step: a correlation of 1.

    >>> answers = pd.DataFrame({"a": [1, 2, 3, 4], "b": [2, 2, 4, 4], "c": [1, 3, 3, 5]})
    >>> float(item_table(answers, dimensions={"s": ["a", "b", "c"]}).table["estimate"][0].round(9))
    1.0
    """
    scales.need_scales(answers, dimensions, confidence)
    rows = [_item_rows(name, answers[items], confidence) for name, items in dimensions.items()]
    return ItemTable(table=pd.concat(rows, ignore_index=True), confidence=confidence)


# --- The numbers ----------------------------------------------------------------------------------


def _scale_row(name: str, answers: pd.DataFrame, confidence: float) -> dict:
    items, about = list(answers), scales.summary(answers, confidence=confidence)
    judged = np.isfinite(about["estimate"]) and len(items) > 2
    weakest, without = _weakest(scales.complete(answers), items) if judged else ("", np.nan)
    note = about.pop("note")
    if np.isfinite(about["estimate"]):
        note = "; ".join(filter(None, [note, _twins(scales.complete(answers), items)]))
    more = {"weakest_item": weakest, "alpha_without_weakest": without, "note": note}
    return {"dimension": name, **about, **more}


def _weakest(values: np.ndarray, items: list[str]) -> tuple[str, float]:
    without = [scales.alpha_without(values, i) for i in range(len(items))]
    best = int(np.nanargmax(without)) if np.isfinite(without).any() else 0
    return items[best], without[best]


def _gains(row) -> bool:
    return row.items > 2 and row.alpha_without_weakest > row.estimate


def _item_rows(name: str, answers: pd.DataFrame, confidence: float) -> pd.DataFrame:
    items, values = list(answers), scales.complete(answers)
    note = scales.why_not(values, items)
    total = values.sum(axis=1)
    rows = []
    for i, item in enumerate(items):
        column = values[:, i]
        r = np.nan if note else scales.correlation(column, total - column)
        low, high = scales.fisher(r, len(values), confidence)
        rows.append(
            {
                "dimension": name,
                "item": item,
                "respondents": len(values),
                "mean": float(column.mean()) if len(column) else np.nan,
                "sd": float(column.std(ddof=1)) if len(column) > 1 else np.nan,
                "estimate": r,
                "low": low,
                "high": high,
                "alpha_without": np.nan if note else scales.alpha_without(values, i),
                "note": note,
            }
        )
    return pd.DataFrame(rows)


# --- The card -------------------------------------------------------------------------------------

Row = tuple[float, float, float, str]  # estimate, low, high, note
_NONE = (np.nan, np.nan, np.nan)


def _card_rows(
    name: str,
    answers: pd.DataFrame,
    confidence: float,
    rng: np.random.Generator,
    turned: tuple[str, ...],
) -> pd.DataFrame:
    items, values = list(answers), scales.complete(answers)
    note = scales.why_not(values, items) or _twins(values, items)
    found = {"alpha": (*_NONE, note)} if note else _coefficients(values, confidence, rng)
    table = pd.DataFrame.from_dict(
        found, orient="index", columns=["estimate", "low", "high", "note"]
    ).rename_axis("coefficient")
    led = next(
        (each for each in LEADING if each in found and np.isfinite(found[each][:3]).all()), ""
    )
    table = table.reset_index().assign(
        dimension=name,
        items=len(items),
        respondents=len(values),
        left_out=len(answers) - len(values),
        turned=", ".join(item for item in items if item in turned),
    )
    table["leading"] = table["coefficient"] == led
    columns = ["dimension", "coefficient", "items", "respondents", "left_out", "turned"]
    return table[[*columns, "estimate", "low", "high", "leading", "note"]]


def _twins(values: np.ndarray, items: list[str]) -> str:
    """Which items are answered alike by everyone: they are one item, asked once."""
    r = np.triu(np.corrcoef(values, rowvar=False), 1)
    if r.max() < 1 - 1e-9:
        return ""
    i, j = np.unravel_index(int(r.argmax()), r.shape)
    return f"{items[i]} and {items[j]} {ALIKE}"


def _coefficients(
    values: np.ndarray, confidence: float, rng: np.random.Generator
) -> dict[str, Row]:
    """Every coefficient of complete rows without a flat item."""
    if values.shape[1] == 2:
        found = {"Spearman-Brown": (*scales.consistency(values, confidence), "")}
        found |= {"alpha": _alpha(values, confidence), LEADING[0]: (*_NONE, "needs three items")}
    else:
        halves = scales.halvings(values.shape[1], most=MOST_HALVES, rng=rng)
        found = {LEADING[0]: _omega(values, confidence), "alpha": _alpha(values, confidence)}
        found |= _bounds(values, halves, confidence)
        found |= _grouped(values, confidence, rng)
    found["ordinal alpha"] = _ordinal(values, confidence)
    return {name: found[name] for name in COEFFICIENTS if name in found}


def _alpha(values: np.ndarray, confidence: float) -> Row:
    estimate = scales.alpha(values)
    if not np.isfinite(estimate):
        return (*_NONE, "the items cancel out")
    return estimate, *scales.feldt(estimate, *values.shape, confidence), ""


def _omega(values: np.ndarray, confidence: float) -> Row:
    """Of one factor by maximum likelihood; the limits allow for answers that are not normal."""
    n, k = values.shape
    if n <= k + 1:
        return (*_NONE, f"{k} items need more than {k + 1} respondents")
    covariances = np.cov(values, rowvar=False, ddof=0)
    try:
        fit = measurement_model.one_factor(covariances, respondents=n)
    except Problem as why:
        return (*_NONE, why.what)
    if not fit.converged:
        return (*_NONE, "one factor could not be fitted")
    if (fit.residual_variances <= 1e-4 * np.diag(covariances)).any():
        return (*_NONE, "Heywood case: an item would be explained wholly")
    estimate, error = measurement_model.composite(measurement_model.robust(fit, values))
    low, high = _at_least_0(below_one(estimate, error, n, confidence))
    mixed = fit.loadings.min() * fit.loadings.max() < 0
    return estimate, low, high, "an item runs against the others" if mixed else ""


def _bounds(values: np.ndarray, halves: np.ndarray, confidence: float) -> dict[str, Row]:
    """Coefficients that are plain functions of the covariances."""
    n, k = values.shape
    covariances = np.cov(values, rowvar=False)
    every = len(halves) == scales.halvings_of(k)
    said = counted(len(halves), "split") + (", all there are" if every else " drawn by chance")
    found = {
        "split-half (mean of splits)": (lambda c: scales.split_half(c, halves).mean(), said),
        "lambda 2": (lambda c: scales.ten_berge(c, step=1), ""),
        "lambda 6": (scales.lambda_6, ""),
    }
    if n <= k:
        found.pop("lambda 6")
    rows = {
        name: (*_from_covariances(statistic, values, covariances, confidence), note)
        for name, (statistic, note) in found.items()
    }
    best = scales.lambda_4(covariances, halves) if every else np.nan
    why = "the best split is picked by chance too: no interval" if every else "too many splits"
    return rows | {"lambda 4 (best split)": (best, np.nan, np.nan, why)}


def _from_covariances(
    statistic, values: np.ndarray, covariances: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = float(statistic(covariances))
        if not np.isfinite(estimate):
            return _NONE
        slope = scales.slopes(statistic, covariances)
    error = standard_error(scales.by_covariances(values, slope))
    return estimate, *below_one(estimate, error, len(values), confidence)


def _ordinal(values: np.ndarray, confidence: float) -> Row:
    """Alpha of polychoric correlations: k / (k - 1) * (1 - k / sum of all correlations)."""
    try:
        found = polychoric(values)
    except Refusal as why:
        return (*_NONE, why.what)
    if found.at_edge:
        return (*_NONE, "two items order everyone alike: a correlation at the edge")
    n, k = values.shape
    total = found.correlations.sum()
    estimate = float(k / (k - 1) * (1 - k / total))
    slope = np.full((k, k), k**2 / (k - 1) / total**2)
    error = standard_error(influence(values, found, gradient=slope))
    note = "" if found.smallest_eigenvalue > 0 else "polychoric matrix not positive definite"
    return estimate, *below_one(estimate, error, n, confidence), note


def _grouped(values: np.ndarray, confidence: float, rng: np.random.Generator) -> dict[str, Row]:
    """Omega total and hierarchical of three groups by Schmid and Leiman."""
    n, k = values.shape
    names = COEFFICIENTS[-2:]
    if k < FEWEST_FOR_GROUPS:
        return dict.fromkeys(names, (*_NONE, f"needs {FEWEST_FOR_GROUPS} items"))
    if n < JACKKNIFED:
        return dict.fromkeys(names, (*_NONE, f"needs {JACKKNIFED} respondents"))
    try:
        general, group = factors.schmid_leiman(_correlations(values), factors=GROUPS)
    except Problem as why:
        return dict.fromkeys(names, (*_NONE, why.what))
    if factors.heywood(np.column_stack([general, group])).any():
        return dict.fromkeys(names, (*_NONE, "Heywood case: an item would be explained wholly"))
    estimates = [float(x) for x in _omegas(_correlations(values), general, group)]
    if ((np.abs(group) >= SALIENT).sum(axis=0) < 2).any():
        note = f"the items hardly fall into {GROUPS} groups: not to be relied on, no interval"
        return {name: (x, np.nan, np.nan, note) for name, x in zip(names, estimates, strict=True)}
    errors = scales.jackknife(
        lambda rows: grouped_omegas(_correlations(rows)), values, groups=JACKKNIFED, rng=rng
    )
    return {
        name: (x, *_at_least_0(below_one(x, error, JACKKNIFED, confidence)), "")
        for name, x, error in zip(names, estimates, errors, strict=True)
    }


def _at_least_0(limits: tuple[float, float]) -> tuple[float, float]:
    """Limits of a share of variance, which cannot be below 0."""
    return max(limits[0], 0.0), max(limits[1], 0.0)


def _correlations(values: np.ndarray) -> np.ndarray:
    return np.corrcoef(values, rowvar=False)


def grouped_omegas(correlations: np.ndarray, *, groups: int = GROUPS) -> np.ndarray:
    """Omega total and omega hierarchical of items that fall into groups.

    Examples
    --------
    Three groups of three, .8 within and .32 between, sum to 9 + 18 * .8 + 54 * .32 = 40.68; of
    that 9 * .2 is each item's own, and 81 * .32 is common to all.

    >>> r = np.kron(np.eye(3), np.full((3, 3), 0.48)) + 0.32
    >>> np.fill_diagonal(r, 1)
    >>> grouped_omegas(r).round(3).tolist()
    [0.956, 0.637]
    """
    return _omegas(correlations, *factors.schmid_leiman(correlations, factors=groups))


def _omegas(correlations: np.ndarray, general: np.ndarray, group: np.ndarray) -> np.ndarray:
    unique = len(general) - (general**2).sum() - (group**2).sum()
    total = correlations.sum()
    return np.array([1 - unique / total, general.sum() ** 2 / total])


def _spelt(estimate: float, low: float, high: float, confidence: float) -> str:
    digits = 2 if high - low > 0.01 else 3
    return spell(estimate, low, high, confidence=confidence, digits=digits)


def _short(coefficient: str) -> str:
    return coefficient.split(" (")[0]
