"""Did some people answer without reading?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look, scales
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.finding import Finding, counted
from sqm.interval import wilson
from sqm.scales import SOURCE

DRAWN = 10_000  # attentive respondents simulated to find how rare a sign is among them
PER_ITEM = 3  # respondents per item below which a distance in all items means nothing
FEWEST_PAIRS = 3  # pairs, or dimensions, over which one respondent's answers can correlate
STRONG = 0.6  # correlation from which two items count as saying the same
FEW = 50  # respondents below which cut-offs modelled on them are called rough
TOO_FAST = 2.0  # seconds an item, Huang and others (2012)


@dataclass(frozen=True, eq=False)
class Careless(Finding):
    """Respondents who gave one answer throughout, and what they do to the scales.

    Attributes
    ----------
    table : DataFrame, two rows per dimension
        ``dimension``; ``who``, ``all`` or ``without one-answer``; ``items``;
        ``respondents``; ``estimate``, ``low``, ``high``, alpha (two items:
        Spearman-Brown) after the declared items are turned round; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    respondents, left_out : int
        Respondents who answered at least half of the items, and the others.
    one_answer : int
        Respondents who gave the same answer to every item they answered.
    share : float
        ``one_answer`` over ``respondents``.
    items : int
        Items looked at.
    longest_median, longest_95 : float
        Half, and 95 of 100 respondents, have no longer run of one answer.
    """

    confidence: float
    respondents: int
    left_out: int
    one_answer: int
    share: float
    items: int
    longest_median: float
    longest_95: float

    def sentence(self) -> str:
        low, high = wilson(self.share, self.respondents, confidence=self.confidence)
        words = (
            f"{self.one_answer:,} of {counted(self.respondents, 'respondent')} gave one answer to "
            f"all they answered of {counted(self.items, 'item')}: {self.share:.1%} "
            f"({self.confidence * 100:.4g}% interval {low:.1%} to {high:.1%}).\n"
            "Items as recorded, nothing turned round. The median respondent's longest run of one "
            f"answer is {self.longest_median:.0f}, that of 95 in 100 at most "
            f"{self.longest_95:.0f} (blanks skipped, items in the order asked)."
        )
        if self.left_out:
            words += f" {self.left_out:,} who answered fewer than half of the items are not judged."
        if self.one_answer:
            words += f" {self._change()} Show both; leaving people out is a choice to be stated."
        return words

    def _change(self) -> str:
        scales = self.table.set_index("dimension")
        before = scales.loc[scales["who"] == "all", "estimate"]
        after = scales.loc[scales["who"] == "without one-answer", "estimate"]
        change = (after - before).dropna()
        if change.empty:
            return "No scale's alpha can be compared without them."
        most = change.abs().idxmax()
        if abs(change[most]) < 0.005:
            return "Without them no scale's alpha moves by as much as 0.005."
        return (
            f"Without them alpha moves most for {most}: from {before[most]:.2f} "
            f"to {after[most]:.2f}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        meaning = np.where(self.table["who"] == "all", "usual", "other")
        names = [f"{row.dimension} · {row.who}" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names, meaning=meaning)
        return look.label(
            ax, title="Do one-answer respondents change the scales?", x="Cronbach's alpha"
        )


@dataclass(frozen=True, eq=False)
class Flags(Finding):
    """Respondents flagged as careless, by each sign and by several together.

    Attributes
    ----------
    table : DataFrame, one row per sign, last ``together``
        ``sign``; ``rule``; ``cutoff``, in the sign's own unit; ``judged`` respondents;
        ``flagged`` of them; ``estimate``, ``low``, ``high``, their share (0 to 1);
        ``false_alarms``, the share flagged of simulated attentive respondents; ``alone``, flagged
        by this sign only; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    respondents, left_out : int
        Judged, and those who answered fewer than half of the items.
    flagged : int
        Respondents with enough signs.
    share, low, high : float
        The same over ``respondents``, with its interval.
    false_alarms : float
        Share of simulated attentive respondents that the same rule flags.
    together : int
        Signs it takes, where none is strong.
    rows : tuple of int
        Places (from 0) of the flagged respondents in the table that was given.
    """

    confidence: float
    respondents: int
    left_out: int
    flagged: int
    share: float
    low: float
    high: float
    false_alarms: float
    together: int
    rows: tuple[int, ...]

    def sentence(self) -> str:
        level = f"{self.confidence * 100:.4g}%"
        expected = self.false_alarms * self.respondents
        mistaken = f"about {expected:,.0f}" if expected >= 1 else "fewer than 1"
        signs = self.table[self.table["sign"] != "together"]
        used, unused = signs[signs["note"] == ""], signs[signs["note"] != ""]
        each = ", ".join(f"{row.sign} {row.flagged:,}" for row in used.itertuples())
        words = [
            f"{self.flagged:,} of {counted(self.respondents, 'respondent')} show "
            f"{counted(self.together, 'sign')} of careless answering or a strong one: "
            f"{self.share:.1%} "
            f"({level} interval {self.low:.1%} to {self.high:.1%}); were all attentive, "
            f"{mistaken} would.\n",
            f"Flagged by each sign: {each}.",
            f"Cut-offs are such that of {DRAWN:,} simulated attentive respondents, with the same "
            "shares of answers, correlations and blanks, no more than the stated share passes; "
            f"the rule as a whole flags {self.false_alarms:.2%} of them.",
        ]
        if self.respondents < FEW:
            words.append(
                f"They are modelled on {counted(self.respondents, 'respondent')} only, so the "
                "cut-offs are rough."
            )
        if (used["sign"] == "too fast").any():
            words.append(f"Too fast: under {TOO_FAST:g} s an item; its false alarms are not known.")
        if len(unused):
            told = "; ".join(f"{row.sign} ({row.note})" for row in unused.itertuples())
            words.append(f"Not used: {told}.")
        if self.left_out:
            words.append(f"{self.left_out:,} who answered fewer than half are not judged.")
        words.append(
            "A sign is no proof: who is content with everything looks like who did not read. Show "
            "each conclusion with and without the flagged."
        )
        return " ".join(words).replace("\n ", "\n")

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        shown = self.table.dropna(subset="estimate").reset_index(drop=True)
        shares = shown.assign(**{c: shown[c] * 100 for c in ("estimate", "low", "high")})
        meaning = np.where(shown["low"] > shown["false_alarms"], "worse", "usual")
        look.dots(ax, shares, names=list(shown["sign"]), meaning=list(meaning))
        ax.plot(
            shown["false_alarms"] * 100,
            shown.index,
            marker="|",
            color=look.MEANING["limit"],
            ls="",
            ms=14,
            mew=2,
            label="attentive respondents, simulated",
        )
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax, title="How many answered without reading?", x="flagged (% of respondents)"
        )


@dataclass(frozen=True, eq=False)
class WithAndWithout(Finding):
    """The same estimates with and without some respondents, side by side.

    Attributes
    ----------
    table : DataFrame, one row per estimate
        The key; ``estimate``, ``low``, ``high`` of all; ``estimate_without``, ``low_without``,
        ``high_without``; ``change``; ``outside``, whether the estimate without them leaves the
        interval of all; ``verdict`` and ``verdict_without``, ``above`` or ``below`` the
        threshold or ``open`` (empty without a threshold); ``note``.
    what : str
        What is estimated.
    left_out : int
        Respondents left out.
    threshold : float
        Value that decides; NaN if none.
    compared, outside, overturned : int
        Estimates compared; outside; with another verdict.
    same_order : bool
        Whether lowest and highest are the same ones.
    """

    what: str
    left_out: int
    threshold: float
    compared: int
    outside: int
    overturned: int
    same_order: bool

    def sentence(self) -> str:
        known = self.table.dropna(subset="change")
        if known.empty:
            return f"No {self.what} can be compared (see the notes)."
        if not self.left_out:
            about = self.what.partition(",")[0]
            return f"Nobody is left out, which changes no conclusion on {about}."
        row = known.loc[known["change"].abs().idxmax()]
        key = self.table.columns[0]
        verdict = "changes no conclusion"
        if self.overturned or self.outside:
            verdict = "changes a conclusion"
        elif not self.same_order:
            verdict = "changes no more than which is lowest or highest"
        return (
            f"Leaving out {counted(self.left_out, 'respondent')} {verdict} on {self.what}; it "
            f"moves most for {row[key]}: from {row['estimate']:.2f} ({row['low']:.2f} to "
            f"{row['high']:.2f}) to {row['estimate_without']:.2f} ({row['low_without']:.2f} to "
            f"{row['high_without']:.2f}).\n{self._why()} Both rest largely on the same people, so "
            "overlapping intervals do not test the change."
        )

    def _why(self) -> str:
        words = [f"Of {counted(self.compared, 'estimate')}, {self.outside} leave the interval of "]
        words[0] += "all respondents;"
        if np.isfinite(self.threshold):
            words.append(f"{self.overturned} change their verdict against {self.threshold:g};")
        if self.compared == 1:
            return " ".join(words).removesuffix(";") + "."
        order = "the same" if self.same_order else "not the same"
        return " ".join([*words, f"lowest and highest are {order}."])

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        columns = ["estimate", "low", "high"]
        after = self.table[[f"{c}_without" for c in columns]].set_axis(columns, axis=1)
        both = pd.concat([self.table[columns], after]).sort_index(kind="stable")
        keys = self.table.iloc[:, 0].astype("str")
        names = [name for key in keys for name in (f"{key} · all", f"{key} · without")]
        look.dots(ax, both, names=names, meaning=["usual", "other"] * len(keys))
        if np.isfinite(self.threshold):
            ax.axvline(self.threshold, color=look.MEANING["limit"], ls="--")
        return look.label(ax, title="Does it hold without the flagged respondents?", x=self.what)


def careless(
    answers: pd.DataFrame,
    *,
    items: Iterable[str],
    dimensions: dict[str, list[str]],
    declared: Iterable[str] = (),
    confidence: float = 0.95,
) -> Careless:
    """Count respondents who gave one answer throughout, and compare alpha with and without them.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers as recorded, nothing turned round: an item worded in reverse is
        what makes one answer throughout implausible.
    items : iterable of str
        All items looked at, in the order in which they were asked.
    dimensions : dict of str to list of str
        The scales whose alpha is compared.
    declared : iterable of str
        Items worded in reverse; turned round for alpha alone.
    confidence : float, default 0.95

    Returns
    -------
    Careless

    Raises
    ------
    Problem
        If an item is missing from ``answers``.
    Refusal
        If there is one item only, nobody answered half of the items, or everyone gave one answer
        throughout.

    Notes
    -----
    A run is unbroken by a blank.  One answer throughout is the plainest sign
    of careless answering, not proof of it, and other kinds go unseen [1]_.

    References
    ----------
    .. [1] Meade, A. W., Craig, S. B. (2012). Identifying careless responses in
       survey data. Psychological Methods 17, 437-455. doi:10.1037/a0028085

    Examples
    --------
    >>> answers = pd.DataFrame({"a": [4, 1, 2], "b": [4, 1, 3], "c": [4, 2, 3]})
    >>> found = careless(answers, items=["a", "b", "c"], dimensions={"s": ["a", "b", "c"]})
    >>> found.one_answer, found.longest_median
    (1, 2.0)
    """
    items, declared = list(dict.fromkeys(items)), list(dict.fromkeys(declared))
    need_columns(answers, items, source=SOURCE)
    scales.need_scales(answers, dimensions, confidence)
    scales.need_members(declared, dimensions)
    _need_two(items)
    given = answers[items].notna().sum(axis="columns")
    judged = (given >= max(2, len(items) / 2)).to_numpy()
    if not judged.any():
        raise Refusal("Nobody answered half of the items.", "check that the answers were read.")
    longest = longest_run(answers[items])[judged]
    flat = longest == given.to_numpy()[judged]
    if flat.all():
        raise Refusal(
            "Every respondent gave one answer throughout.",
            "check that the answers were read from the right columns; such answers say nothing.",
        )
    keep = np.ones(len(answers), dtype=bool)
    keep[np.flatnonzero(judged)[flat]] = False
    return Careless(
        table=_with_and_without(answers, keep, dimensions, declared, confidence),
        confidence=confidence,
        respondents=int(judged.sum()),
        left_out=int((~judged).sum()),
        one_answer=int(flat.sum()),
        share=float(flat.mean()),
        items=len(items),
        longest_median=float(np.median(longest)),
        longest_95=float(np.quantile(longest, 0.95, method="inverted_cdf")),
    )


def careless_flags(
    answers: pd.DataFrame,
    *,
    items: Iterable[str],
    dimensions: dict[str, list[str]],
    rng: np.random.Generator,
    declared: Iterable[str] = (),
    duration: str = "duration_s",
    asked: int | None = None,
    false_alarms: float = 0.01,
    together: int = 2,
    confidence: float = 0.95,
) -> Flags:
    """Flag respondents whose answers look as if they had not read the questions.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Answers as recorded, nothing turned round.
    items : iterable of str
        Items in the order in which they were asked.
    dimensions : dict of str to list of str
        The scales; each should have two items or more, for even against odd.
    rng : numpy.random.Generator
        For the simulated attentive respondents.
    declared : iterable of str
        Items worded in reverse.
    duration : str
        Column with seconds taken; passed over where ``answers`` lacks it.
    asked : int, optional
        Questions answered in that time; as many as ``items`` if not given.
    false_alarms : float, default 0.01
        Share of attentive respondents that one sign may flag.
    together : int, default 2
        Signs that flag a respondent, where none is strong.
    confidence : float, default 0.95

    Returns
    -------
    Flags

    Raises
    ------
    Refusal
        If there is one item only, nobody answered half of the items, or everyone gave one answer
        throughout.

    Notes
    -----
    Signs [1]_ [2]_: *longest run* of one answer; *variability*, the standard deviation of a
    respondent's answers (low); *distance*, Mahalanobis' D^2 in the items answered, made
    comparable by Wilson and Hilferty's cube root; *even-odd*, the correlation over dimensions
    of the means of odd and of even items (low); *synonyms*, the correlation over pairs of items
    that correlate 0.6 or more (low); *too fast*, under two seconds an item [3]_.  A respondent is
    flagged by ``together`` signs, or by one sign so strong that a tenth of the stated share of
    attentive respondents would show it.  These are simulated from a Gaussian copula with the
    shares of answers, correlations and blanks of those who did not give one answer throughout;
    the latent correlations are raised until the simulated answers correlate as the real ones
    do.  A discrete sign may flag fewer than the stated share, never more of those simulated.
    Distance needs three respondents per item.

    References
    ----------
    .. [1] Meade, A. W., Craig, S. B. (2012). Psychological Methods 17, 437-455.
       doi:10.1037/a0028085
    .. [2] Curran, P. G. (2016). Journal of Experimental Social Psychology 66, 4-19.
       doi:10.1016/j.jesp.2015.07.006
    .. [3] Huang, J. L., Curran, P. G., Keeney, J., Poposki, E. M., DeShon, R. P. (2012). Journal
       of Business and Psychology 27, 99-114. doi:10.1007/s10869-011-9231-8

    Examples
    --------
    Three of 203 answered 1 throughout, where the others differ from item to item.

    >>> rng = np.random.default_rng(1)
    >>> answers = pd.DataFrame(rng.integers(1, 8, size=(203, 8)), columns=list("abcdefgh"))
    >>> answers.iloc[:3] = 1
    >>> found = careless_flags(answers, items=list(answers), rng=rng,
    ...                        dimensions={"x": list("abcd"), "y": list("efgh")})
    >>> found.rows[:3]
    (0, 1, 2)
    """
    items, declared = list(dict.fromkeys(items)), list(dict.fromkeys(declared))
    need_columns(answers, items, source=SOURCE)
    scales.need_scales(answers, dimensions, confidence)
    scales.need_members(declared, dimensions)
    need_share(false_alarms, name="false_alarms")
    if together < 1 or (asked is not None and asked < 1):
        raise Problem(
            f"together is {together}, asked is {asked}.",
            "flag by one sign or more, and count one question or more.",
        )
    _need_two(items)
    judged, reference = _who(answers[items])
    values = answers[items].to_numpy(dtype=float, na_value=np.nan)
    signs = _Signs(items, dimensions, declared, values[reference])
    drawn = signs.of(_attentive(values[reference], values[judged], rng))
    real = signs.of(values[judged])
    marks, rare, rows = _marks(real, drawn, signs, false_alarms)
    strong = [_strong(each, drawn, signs, false_alarms / 10) for each in (real, drawn)]
    _time_sign(answers, judged, duration, asked or len(items), marks, rows)
    left_out = len(answers) - len(judged)
    return _flags(marks, rare, strong, rows, judged, left_out, together, confidence)


def without(answers: pd.DataFrame, flags: Flags) -> pd.DataFrame:
    """Leave out the flagged respondents, so that any later call can be made with and without.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> without(pd.DataFrame({"a": [1, 2, 3]}), SimpleNamespace(rows=(1,)))["a"].tolist()
    [1, 3]
    """
    kept = np.ones(len(answers), dtype=bool)
    kept[list(flags.rows)] = False
    return answers[kept]


def with_and_without(
    everyone: pd.DataFrame,
    fewer: pd.DataFrame,
    *,
    key: str,
    what: str,
    left_out: int,
    threshold: float | None = None,
) -> WithAndWithout:
    """Put two tables of the same estimates side by side and say what changes.

    Parameters
    ----------
    everyone, fewer : DataFrame
        ``key``, ``estimate``, ``low``, ``high``: any finding's table, with all respondents and
        without some.
    key : str
        Column that names an estimate, once in each table.
    what : str
        What is estimated, with its unit.
    left_out : int
        Respondents left out.
    threshold : float, optional
        Value that decides, such as 0 for a gap or 0.7 for a reliability.

    Returns
    -------
    WithAndWithout

    Raises
    ------
    Problem
        If a key comes twice.

    Examples
    --------
    >>> table = pd.DataFrame({"dimension": ["empathy"], "estimate": [0.8], "low": [0.7],
    ...                       "high": [0.9]})
    >>> found = with_and_without(table, table.assign(estimate=0.6), key="dimension",
    ...                          what="alpha", left_out=3)
    >>> found.outside, round(float(found.table["change"][0]), 3)
    (1, -0.2)
    """
    columns = [key, "estimate", "low", "high"]
    for table in (everyone, fewer):
        need_columns(table, columns, source="the estimates")
        if table[key].duplicated().any():
            raise Problem(
                f"{table[key][table[key].duplicated()].iloc[0]!r} comes twice under {key!r}.",
                "compare one estimate per key: filter the tables first.",
            )
    both = everyone[columns].merge(fewer[columns], on=key, how="left", suffixes=("", "_without"))
    both["change"] = both["estimate_without"] - both["estimate"]
    there = both["estimate_without"].notna()
    inside = both["estimate_without"].between(both["low"], both["high"])
    both["outside"] = there & both["low"].notna() & ~inside
    both["verdict"] = _verdicts(both, "", threshold)
    both["verdict_without"] = _verdicts(both, "_without", threshold)
    both["note"] = np.where(both["change"].isna(), "not given in both", "")
    known = both.dropna(subset="change")
    overturned = known["verdict"] != known["verdict_without"]
    return WithAndWithout(
        table=both,
        what=what,
        left_out=int(left_out),
        threshold=np.nan if threshold is None else float(threshold),
        compared=len(known),
        outside=int(both["outside"].sum()),
        overturned=int(overturned.sum()),
        same_order=_ends(known["estimate"]) == _ends(known["estimate_without"]),
    )


def longest_run(answers: pd.DataFrame) -> np.ndarray:
    """Longest run of one answer in each row, columns in the order asked, blanks skipped.

    Examples
    --------
    >>> longest_run(pd.DataFrame([[3, 3, 2, 2, 2], [1, np.nan, 1, 2, 1]])).tolist()
    [3, 2]
    """
    values = answers.to_numpy(dtype=float, na_value=np.nan)
    last = np.full(len(values), np.nan)
    run, longest = np.zeros(len(values), dtype=int), np.zeros(len(values), dtype=int)
    for now in values.T:
        there = ~np.isnan(now)
        run = np.where(there, np.where(now == last, run + 1, 1), run)
        last = np.where(there, now, last)
        longest = np.maximum(longest, run)
    return longest


def _need_two(items: list[str]) -> None:
    if len(items) < 2:
        raise Refusal(
            f"{counted(len(items), 'item')} cannot show who answered without reading.",
            "look at all items of the questionnaire, in the order asked.",
        )


def _with_and_without(answers, keep, dimensions, declared, confidence) -> pd.DataFrame:
    # the sign alone matters to alpha: -x serves as well as low + high - x
    turned = answers.assign(**{item: -answers[item] for item in declared})
    rows = []
    for name, items in dimensions.items():
        for who, some in (("all", turned), ("without one-answer", turned[keep])):
            about = scales.summary(some[items], confidence=confidence)
            rows.append({"dimension": name, "who": who, **about})
    columns = ["dimension", "who", "items", "respondents", "estimate", "low", "high", "note"]
    return pd.DataFrame(rows)[columns]


def _verdicts(table: pd.DataFrame, end: str, threshold: float | None) -> np.ndarray:
    if threshold is None:
        return np.full(len(table), "", dtype=object)
    above, below = table[f"low{end}"] > threshold, table[f"high{end}"] < threshold
    return np.where(above, "above", np.where(below, "below", "open"))


def _ends(estimates: pd.Series) -> tuple[int, int] | None:
    return (estimates.argmin(), estimates.argmax()) if len(estimates) else None


# --- Signs of one respondent ----------------------------------------------------------------------


def variability(values: np.ndarray) -> np.ndarray:
    """Standard deviation of each row's answers, blanks skipped.

    Examples
    --------
    >>> variability(np.array([[1.0, 2, 3], [4, 4, np.nan]])).tolist()
    [1.0, 0.0]
    """
    number = (~np.isnan(values)).sum(axis=1)
    mean = np.nansum(values, axis=1) / np.maximum(number, 1)
    squares = np.nansum((values - mean[:, None]) ** 2, axis=1)
    return np.where(number > 1, np.sqrt(squares / np.maximum(number - 1, 1)), np.nan)


def distance(values: np.ndarray, *, mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Mahalanobis' D^2 of each row in the items it answered.

    Examples
    --------
    >>> distance(np.array([[3.0, 4.0], [3.0, np.nan]]), mean=np.zeros(2), cov=np.eye(2)).tolist()
    [25.0, 9.0]
    """
    there = ~np.isnan(values)
    off = np.where(there, values - mean, 0.0)
    patterns, which = np.unique(there, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    squared = np.zeros(len(values))
    for pattern, rows in zip(
        patterns, np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1]), strict=True
    ):
        inverse = np.linalg.pinv(cov[np.ix_(pattern, pattern)], hermitian=True)
        some = off[rows][:, pattern]
        squared[rows] = np.einsum("ij,jk,ik->i", some, inverse, some)
    return squared


def row_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of two arrays row by row, over the pairs that are there; NaN where flat.

    Examples
    --------
    >>> row_correlation(np.array([[1.0, 2, 3]]), np.array([[6.0, 4, 2]])).round(9).tolist()
    [-1.0]
    """
    there = ~(np.isnan(first) | np.isnan(second))
    number = np.maximum(there.sum(axis=1, keepdims=True), 1)
    a, b = np.where(there, first, 0.0), np.where(there, second, 0.0)
    a = np.where(there, a - a.sum(axis=1, keepdims=True) / number, 0.0)
    b = np.where(there, b - b.sum(axis=1, keepdims=True) / number, 0.0)
    size = (a**2).sum(axis=1) * (b**2).sum(axis=1)
    fit = (there.sum(axis=1) >= FEWEST_PAIRS) & (size > 1e-18)
    return np.where(fit, (a * b).sum(axis=1) / np.sqrt(np.where(fit, size, 1.0)), np.nan)


def even_odd(values: np.ndarray, *, groups: list[list[int]]) -> np.ndarray:
    """Correlation over groups of items of the means of odd and of even items.

    Parameters
    ----------
    values : ndarray, shape (respondents, items)
        Items worded in reverse already turned round.
    groups : list of list of int
        Places of the items of each dimension.

    Returns
    -------
    ndarray, shape (respondents,)
        1 is consistent; NaN where a side is flat.  Stepping it up, 2 r / (1 + r), would not
        change who comes last.
    """
    odd = np.column_stack([_mean_of(values[:, group[::2]]) for group in groups])
    even = np.column_stack([_mean_of(values[:, group[1::2]]) for group in groups])
    return row_correlation(odd, even)


def synonym_pairs(values: np.ndarray, *, strong: float = STRONG) -> list[tuple[int, int]]:
    """Pairs of items (later, earlier) that correlate more than ``strong``."""
    r = pd.DataFrame(values).corr().to_numpy()
    later, earlier = np.tril_indices(len(r), -1)
    return [(int(i), int(j)) for i, j in zip(later, earlier, strict=True) if r[i, j] > strong]


def _mean_of(part: np.ndarray) -> np.ndarray:
    number = (~np.isnan(part)).sum(axis=1)
    return np.where(number > 0, np.nansum(part, axis=1) / np.maximum(number, 1), np.nan)


# --- Flags ----------------------------------------------------------------------------------------


def _who(answers: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Places of those who are judged, and of those among them who used two answers or more."""
    given = answers.notna().sum(axis="columns")
    judged = np.flatnonzero((given >= max(2, answers.shape[1] / 2)).to_numpy())
    if not len(judged):
        raise Refusal("Nobody answered half of the items.", "check that the answers were read.")
    varied = (answers.max(axis=1) > answers.min(axis=1)).to_numpy()[judged]
    if varied.sum() < scales.FEWEST:
        raise Refusal(
            f"{varied.sum()} of {len(judged)} respondents gave more than one answer: there is "
            "nobody to compare the careless with.",
            "check that the answers were read from the right columns.",
        )
    return judged, judged[varied]


class _Signs:
    """The signs that these items allow, higher is worse; what cannot be given has a note."""

    def __init__(self, items, dimensions, declared, reference: np.ndarray) -> None:
        self.turn = np.where([item in declared for item in items], -1.0, 1.0)
        groups = [[items.index(i) for i in each if i in items] for each in dimensions.values()]
        self.groups = [group for group in groups if len(group) > 1]
        self.pairs = np.array(synonym_pairs(reference * self.turn)).reshape(-1, 2)
        self.middle = _mean_of(reference.T)
        self.notes = dict.fromkeys(("longest run", "variability"), "")
        k, n = len(items), len(reference)
        self.cov = _covariance(reference)
        few = f"{k} items need {PER_ITEM * k} respondents who vary, there are {n}"
        self.notes["distance"] = few if n < PER_ITEM * k else ""
        short = f"fewer than {FEWEST_PAIRS} dimensions of two items or more"
        self.notes["even-odd"] = short if len(self.groups) < FEWEST_PAIRS else ""
        pairs = f"pairs of items that correlate {STRONG} or more: {len(self.pairs)}"
        self.notes["synonyms"] = pairs if len(self.pairs) < FEWEST_PAIRS else ""

    def of(self, values: np.ndarray) -> dict[str, np.ndarray]:
        # about each item's middle: declared items change sign, not level
        turned = (values - self.middle) * self.turn + self.middle
        found = {
            "longest run": longest_run(pd.DataFrame(values)).astype(float),
            "variability": -variability(values),
        }
        if not self.notes["distance"]:
            k = (~np.isnan(values)).sum(axis=1)
            squared = distance(values, mean=self.middle, cov=self.cov)
            found["distance"] = (np.cbrt(squared / k) - (1 - 2 / (9 * k))) / np.sqrt(2 / (9 * k))
        if not self.notes["even-odd"]:
            found["even-odd"] = -even_odd(turned, groups=self.groups)
        if not self.notes["synonyms"]:
            later, earlier = self.pairs.T
            found["synonyms"] = -row_correlation(turned[:, later], turned[:, earlier])
        # computed sums of equal answers differ in the last figures, and would part equals
        return {name: np.round(each, 9) for name, each in found.items()}


def _covariance(values: np.ndarray) -> np.ndarray:
    """Pairwise covariance, the nearest that is positive: blanks can make it impossible."""
    cov = np.atleast_2d(pd.DataFrame(values).cov().fillna(0.0).to_numpy())
    size, direction = np.linalg.eigh(cov)
    return direction @ np.diag(np.clip(size, 1e-8 * max(size.max(), 1e-12), None)) @ direction.T


def _attentive(reference: np.ndarray, judged: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Simulated answers with the reference's shares and correlations, and real blanks."""
    k = reference.shape[1]
    z = rng.normal(size=(DRAWN, k))
    blank = np.isnan(judged)[rng.integers(len(judged), size=DRAWN)]
    sorts = [np.sort(column[~np.isnan(column)]) for column in reference.T]
    wanted = _correlations(reference)
    latent = wanted.copy()
    for _ in range(4):
        drawn = _answers(z, latent, sorts)
        latent = np.clip(latent + wanted - _correlations(drawn), -0.99, 0.99)
    return np.where(blank, np.nan, _answers(z, latent, sorts))


def _correlations(values: np.ndarray) -> np.ndarray:
    """Pairwise correlations; few respondents for many items: their mean throughout."""
    n, k = values.shape
    r = pd.DataFrame(values).corr().fillna(0.0).to_numpy().copy()
    if n < PER_ITEM * k and k > 1:
        r[:] = r[~np.eye(k, dtype=bool)].mean()
    np.fill_diagonal(r, 1.0)
    return r


def _answers(z: np.ndarray, latent: np.ndarray, sorts: list[np.ndarray]) -> np.ndarray:
    size, direction = np.linalg.eigh(latent)
    root = direction * np.sqrt(np.clip(size, 1e-6, None))
    root = root / np.sqrt((root**2).sum(axis=1, keepdims=True))
    place = stats.norm.cdf(z @ root.T)
    columns = [
        given[np.minimum((u * len(given)).astype(int), len(given) - 1)]
        if len(given)
        else np.full(len(u), np.nan)
        for u, given in zip(place.T, sorts, strict=True)
    ]
    return np.column_stack(columns)


RULES = {
    "longest run": "run of one answer of {} or more",
    "variability": "standard deviation of the answers of {} or less",
    "distance": "distance (cube root of D^2, standardised) of {} or more",
    "even-odd": "odd and even items correlate {} or less",
    "synonyms": "pairs that go together correlate {} or less",
}
WORSE_LOW = ("variability", "even-odd", "synonyms")


def _marks(real, drawn, signs: _Signs, false_alarms: float):
    """Who shows which sign, which of the simulated would, and a row for each sign."""
    marks, rare, rows = {}, {}, []
    for name, note in signs.notes.items():
        cutoff = np.nan if note else _cutoff(drawn[name], false_alarms)
        if not note and not np.isfinite(cutoff):
            note = "even the most extreme value is not rare among attentive respondents"
        row = {"sign": name, "rule": "", "cutoff": np.nan, "judged": 0, "note": note}
        if not note:
            marks[name] = real[name] >= cutoff
            rare[name] = drawn[name] >= cutoff
            shown = -cutoff if name in WORSE_LOW else cutoff
            row |= {"rule": RULES[name].format(f"{shown:.3g}"), "cutoff": shown}
            row["judged"] = int((~np.isnan(real[name])).sum())
        rows.append(row)
    return marks, rare, rows


def _strong(shown, drawn, signs: _Signs, false_alarms: float) -> np.ndarray:
    """Who shows one sign so strong that it speaks for itself."""
    with_one = np.zeros(len(shown["longest run"]), dtype=bool)
    for name, note in signs.notes.items():
        cutoff = np.nan if note else _cutoff(drawn[name], false_alarms)
        if np.isfinite(cutoff):
            with_one |= shown[name] >= cutoff
    return with_one


def _cutoff(drawn: np.ndarray, false_alarms: float) -> float:
    """The lowest value that no more than the stated share of those simulated reaches."""
    values, times = np.unique(drawn[~np.isnan(drawn)], return_counts=True)
    reached = np.cumsum(times[::-1])[::-1] / len(drawn)
    fit = np.flatnonzero(reached <= false_alarms)
    return float(values[fit[0]]) if len(fit) else np.nan


def _time_sign(answers, judged, duration: str, asked: int, marks: dict, rows: list) -> None:
    note = "" if duration in answers else f"no column {duration!r}"
    row = {"sign": "too fast", "rule": "", "cutoff": np.nan, "judged": 0, "note": note}
    if not note:
        seconds = answers[duration].to_numpy(dtype=float, na_value=np.nan)[judged] / asked
        marks["too fast"] = seconds < TOO_FAST
        row |= {"rule": f"under {TOO_FAST:g} s an item", "cutoff": TOO_FAST}
        row["judged"] = int((~np.isnan(seconds)).sum())
    rows.append(row)


def _flags(
    marks, rare, strong, rows, judged, left_out: int, together: int, confidence: float
) -> Flags:
    signs = sum(mark.astype(int) for mark in marks.values()) + np.zeros(len(judged), dtype=int)
    flagged = (signs >= together) | strong[0]
    alarms = sum(mark.astype(int) for mark in rare.values()) + np.zeros(DRAWN, dtype=int)
    rate = float(((alarms >= together) | strong[1]).mean())
    for row in rows:
        name = row["sign"]
        if name in marks:
            row |= _shown(marks[name], row["judged"], confidence)
            row["false_alarms"] = float(rare[name].mean()) if name in rare else np.nan
            row["alone"] = int((marks[name] & (signs == 1)).sum())
    last = {
        "sign": "together",
        "rule": f"{together} signs or more, or one strong sign",
        "judged": len(judged),
    }
    last |= {"cutoff": float(together), "false_alarms": rate, "alone": 0, "note": ""}
    table = pd.DataFrame([*rows, last | _shown(flagged, len(judged), confidence)])
    columns = ["sign", "rule", "cutoff", "judged", "flagged", "estimate", "low", "high"]
    table = table[[*columns, "false_alarms", "alone", "note"]]
    table[["flagged", "alone"]] = table[["flagged", "alone"]].fillna(0).astype(int)
    whole = table.iloc[-1]
    return Flags(
        table=table,
        confidence=confidence,
        respondents=len(judged),
        left_out=left_out,
        flagged=int(flagged.sum()),
        share=float(whole["estimate"]),
        low=float(whole["low"]),
        high=float(whole["high"]),
        false_alarms=rate,
        together=together,
        rows=tuple(int(i) for i in judged[flagged]),
    )


def _shown(mark: np.ndarray, judged: int, confidence: float) -> dict:
    share = mark.sum() / judged if judged else np.nan
    low, high = wilson(share, judged, confidence=confidence) if judged else (np.nan, np.nan)
    return {"flagged": int(mark.sum()), "estimate": float(share), "low": low, "high": high}
