"""How much does each need weigh in the judgement of those who compare them?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import logit_limits, spell, wilson
from sqm.ranking import dots, heaviest, ranked

SOURCE = "the comparisons"
# Mean consistency index of random reciprocal matrices of 1 to 15 needs: Saaty, T. L. (1980).
# The Analytic Hierarchy Process. McGraw-Hill.
RANDOM_INDEX = (0, 0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49, 1.51, 1.48, 1.56, 1.57, 1.59)
LIMIT = 0.1  # Saaty's tolerance of the consistency ratio
SAME = 0.05  # logs this close are one judgement: 1/8 is written 0.13
CHUNK = 500  # judges whose matrices are held at a time
FEW_JUDGES = 10
NAMED = 5  # judges named in a sentence
WEIGHT_COLUMNS = ("need", "estimate", "low", "high", "rank", "may_fall", "may_rise")
WEIGHT_COLUMNS += ("consistent_only", "judge_min", "judge_max", "note")


@dataclass(frozen=True, eq=False)
class Consistency(Finding):
    """Whether each judge's comparisons fit together.

    Attributes
    ----------
    table : DataFrame, one row per judge, the least consistent first
        ``judge``; ``comparisons`` given; ``missing`` pairs; ``lambda_max``, the
        largest eigenvalue; ``consistency_index``; ``consistency_ratio``;
        ``acceptable``, whether the ratio is within the limit; ``first``,
        ``second``, the pair furthest from what the judge's other comparisons
        imply, ``said_times`` and ``implied_times`` of it; ``note``.
    judges, judged : int
        All judges, and those whose ratio can be given.
    estimate, low, high : float
        Share of the judged within the limit, with Wilson's interval (0 to 1).
    inconsistent : tuple of str
        Judges beyond the limit, the worst first.
    limit : float
        Largest ratio that is tolerated.
    confidence : float
    """

    judges: int
    judged: int
    estimate: float
    low: float
    high: float
    inconsistent: tuple[str, ...]
    limit: float
    confidence: float

    def sentence(self) -> str:
        if not self.judged:
            return f"No judge's consistency can be given: {self._unsaid()}"
        share = spell(
            100 * self.estimate,
            100 * self.low,
            100 * self.high,
            confidence=self.confidence,
            digits=0,
            unit="%",
        )
        good = self.judged - len(self.inconsistent)
        first = (
            f"{good} of {counted(self.judged, 'judge')} compare consistently "
            f"(ratio at most {self.limit:.2g}): {share}."
        )
        return "\n".join([first, " ".join(filter(None, [self._named(), self._rule()]))])

    def _named(self) -> str:
        beyond = self.table[self.table["judge"].isin(self.inconsistent)]
        told = [
            f"{look.shorten(row.judge)} ({row.consistency_ratio:.2f}; most out of line: "
            f"{look.shorten(row.first, width=24)} over {look.shorten(row.second, width=24)}, said "
            f"{_times(row.said_times)}, implied {_times(row.implied_times)})"
            for row in beyond.itertuples()
        ]
        return f"Beyond it: {listed(told, most=NAMED, apart='; ')}." if told else ""

    def _rule(self) -> str:
        words = "Saaty's ratio compares a judge with random answers (1); 0 is without contradiction"
        words += ", which is not the same as right."
        if self.table["missing"].gt(0).any():
            words += (
                " Missing pairs are filled as Harker does, and the random index is lowered for them"
                " (approximate)."
            )
        return f"{words} Not given: {self._unsaid()}" if self.judged < self.judges else words

    def _unsaid(self) -> str:
        rest = self.table[self.table["consistency_ratio"].isna()]
        told = [f"{look.shorten(row.judge)} ({row.note})" for row in rest.itertuples()]
        return f"{listed(told, most=NAMED, apart='; ')}."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        known = self.table.dropna(subset="consistency_ratio").head(30).reset_index(drop=True)
        for row in known.itertuples():
            what = "better" if row.acceptable else "worse"
            ax.plot([0, row.consistency_ratio], [row.Index] * 2, color=look.MEANING[what], lw=1.2)
            ax.plot(
                row.consistency_ratio,
                row.Index,
                marker=look.MARKER[what],
                color=look.MEANING[what],
            )
        ax.axvline(self.limit, color=look.MEANING["limit"], ls="--")
        ax.set_yticks(range(len(known)), [look.shorten(str(name)) for name in known["judge"]])
        ax.set_ylim(len(known) - 0.5, -0.5)
        shown = "" if len(known) == self.judged else f" (the {len(known)} least consistent)"
        return look.label(
            ax,
            title=f"Whose comparisons contradict each other?{shown}",
            x="consistency ratio (0: no contradiction, 1: as random answers)",
        )


@dataclass(frozen=True, eq=False)
class AhpWeights(Finding):
    """What each need weighs in the judgement of a group.

    Attributes
    ----------
    table : DataFrame, one row per need, the weightiest first
        ``need``; ``estimate``, ``low``, ``high``, its weight (0 to 1, the
        estimates sum to 1); ``rank``; ``may_fall``, ``may_rise``, by how much the
        weight may change (the others in proportion) before the order does;
        ``consistent_only``, the weight by the judges within the limit alone;
        ``judge_min``, ``judge_max``, the extremes of single judges who linked all
        needs; ``note``.
    judges, comparisons : int
    missing, left_out : int
        Pairs that a judge did not compare, over all judges; rows with a blank.
    consistency_ratio : float
        Of the group's matrix.
    inconsistent : tuple of str
        Judges beyond the limit.
    leader : str
    lead, lead_low, lead_high : float
        How many times as heavy the first need is as the second.
    limit, confidence : float
    """

    judges: int
    comparisons: int
    missing: int
    left_out: int
    consistency_ratio: float
    inconsistent: tuple[str, ...]
    leader: str
    lead: float
    lead_low: float
    lead_high: float
    limit: float
    confidence: float

    def sentence(self) -> str:
        rest = [self._lead(), self._sensitivity(), self._judges(), self._based()]
        return "\n".join([heaviest(self.table, self.confidence), " ".join(filter(None, rest))])

    def _lead(self) -> str:
        second = look.shorten(str(self.table["need"].iloc[1]))
        if not np.isfinite(self.lead_low):
            return f"It weighs {self.lead:.2f} times as much as {second}, in one judge's opinion."
        found = spell(self.lead, self.lead_low, self.lead_high, confidence=self.confidence)
        open_ = "" if self.lead_low > 1 else " The first place is not certain."
        return f"It weighs {found} times as much as {second}.{open_}"

    def _sensitivity(self) -> str:
        tightest = self.table["may_fall"].idxmin()
        if not np.isfinite(self.table["may_fall"].min()):
            return ""
        row, below = self.table.loc[tightest], self.table.loc[tightest + 1]
        return (
            f"The order turns most easily where {look.shorten(row['need'])} would fall behind "
            f"{look.shorten(below['need'])}: {100 * row['may_fall']:.1f} points of weight less."
        )

    def _judges(self) -> str:
        if not self.inconsistent:
            return ""
        named = listed([look.shorten(name) for name in self.inconsistent], most=NAMED)
        text = f"Counted although beyond a consistency ratio of {self.limit:.2g}: {named}."
        alone = self.table["consistent_only"]
        if alone.isna().all():
            return f"{text} Without them the needs are not all linked."
        change = 100 * (alone - self.table["estimate"]).abs().max()
        return f"{text} Without them no weight changes by more than {change:.1f} points."

    def _based(self) -> str:
        words = (
            f"{counted(self.judges, 'judge')}, {counted(self.comparisons, 'comparison')}"
            f"{_blanks(self.missing, self.left_out)}. Weights are geometric means (log least "
            "squares) over the comparisons of all judges"
        )
        ratio = f"{self.consistency_ratio:.2f}"
        words += (
            "."
            if ratio == "nan" or self.judges == 1
            else f"; the group's ratio, in which contradictions average out, is {ratio}."
        )
        if self.judges == 1:
            return f"{words} One judge has no interval: see how far a weight may move instead."
        words += f" The intervals are for judges like these (Student's, {self.judges - 1} df)"
        few = self.judges < FEW_JUDGES
        words += f"; with {self.judges} they are approximate." if few else "; approximate."
        if np.allclose(self.table["high"], self.table["low"]):
            words += " All the judges said the same, so the intervals have no width."
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        return dots(ax, self.table, title="What does each need weigh, as people judge it?")


def consistency(
    comparisons: pd.DataFrame,
    *,
    judge: str = "judge",
    first: str = "first",
    second: str = "second",
    times: str = "times",
    limit: float = LIMIT,
    confidence: float = 0.95,
) -> Consistency:
    """Measure how far each judge's pairwise comparisons contradict each other.

    Parameters
    ----------
    comparisons : DataFrame, one row per judge and pair
        ``times``: how many times as important ``first`` is as ``second``, from
        1/9 to 9.  A pair may stand in either order, and a judge may leave some out.
    judge, first, second, times : str
        Columns.
    limit : float, default 0.1
        Largest consistency ratio that is tolerated.
    confidence : float, default 0.95

    Returns
    -------
    Consistency

    Raises
    ------
    Problem
        If ``times`` is no number from 1/9 to 9, a need is compared with itself, or
        one judge gives a pair two different answers.
    Refusal
        If there is no comparison, or fewer than two needs.

    Notes
    -----
    Consistency index (lambda_max - n) / (n - 1), ratio = index / random index [1]_.
    With missing pairs lambda_max is that of Harker's matrix [2]_ (0 for a missing
    pair, 1 + the number missing on the diagonal), and the random index is taken
    times 1 - 2m / ((n - 1)(n - 2)) for m missing pairs [3]_, which was found for the
    completion with the smallest lambda_max; Harker's is no smaller, so the ratio errs,
    if at all, on the strict side.  Above 15 needs there is no random index.

    References
    ----------
    .. [1] Saaty, T. L. (1980). The Analytic Hierarchy Process. McGraw-Hill.
    .. [2] Harker, P. T. (1987). Incomplete pairwise comparisons in the analytic
       hierarchy process. Mathematical Modelling 9, 837-848.
    .. [3] Ágoston, K. C., Csató, L. (2022). Inconsistency thresholds for incomplete
       pairwise comparison matrices. Omega 108, 102576.

    Examples
    --------
    a is 2 times b, b 2 times c, and a 4 times c: no contradiction.

    >>> said = pd.DataFrame({"judge": "J", "first": list("aba"), "second": list("bcc"),
    ...                      "times": [2, 2, 4]})
    >>> abs(round(float(consistency(said).table["consistency_ratio"][0]), 9))
    0.0
    """
    need_share(confidence, name="confidence")
    said, needs, _ = _judgements(comparisons, judge, first, second, times)
    table = _by_judge(said, needs, limit)
    judged = table["acceptable"].dropna().astype(bool)
    hits, n = int(judged.sum()), len(judged)
    low, high = wilson(hits / n, n, confidence=confidence) if n else (np.nan, np.nan)
    return Consistency(
        table=table.drop(columns=["connected"]),
        judges=len(table),
        judged=n,
        estimate=hits / n if n else np.nan,
        low=low,
        high=high,
        inconsistent=_beyond(table),
        limit=limit,
        confidence=confidence,
    )


def ahp_weights(
    comparisons: pd.DataFrame,
    *,
    judge: str = "judge",
    first: str = "first",
    second: str = "second",
    times: str = "times",
    limit: float = LIMIT,
    confidence: float = 0.95,
) -> AhpWeights:
    """Weigh needs by pairwise comparison (analytic hierarchy process, AHP).

    Parameters
    ----------
    comparisons, judge, first, second, times, limit
        As in `consistency`.
    confidence : float, default 0.95

    Returns
    -------
    AhpWeights
        With one judge ``low`` and ``high`` are missing and a note says why.

    Raises
    ------
    Problem
        As in `consistency`.
    Refusal
        As in `consistency`, or if the comparisons do not link all the needs.

    Notes
    -----
    The log weights minimise the sum over all comparisons of (log times - log w_first
    + log w_second)^2 [1]_.  With all pairs compared by all judges that is the row
    geometric mean of the judges' geometric mean, the aggregation that keeps
    reciprocals [2]_.  The interval is Student's with one degree of freedom fewer than
    judges, on the logit of the weight, with the variance between judges (clustered
    sandwich); it is approximate.  A weight w that changes while the others keep
    their proportions meets a weight u at u / (1 - w + u); ``may_fall`` and
    ``may_rise`` are the distances to the neighbours.

    References
    ----------
    .. [1] Crawford, G., Williams, C. (1985). A note on the analysis of subjective
       judgment matrices. Journal of Mathematical Psychology 29, 387-405.
    .. [2] Aczél, J., Saaty, T. L. (1983). Procedures for synthesizing ratio
       judgements. Journal of Mathematical Psychology 27, 93-102.

    Examples
    --------
    Weights 4, 2, 1 of 7 answer these three comparisons without contradiction.

    >>> said = pd.DataFrame({"judge": "J", "first": list("aba"), "second": list("bcc"),
    ...                      "times": [2, 2, 4]})
    >>> (7 * ahp_weights(said).table["estimate"]).round(9).tolist()
    [4.0, 2.0, 1.0]
    """
    need_share(confidence, name="confidence")
    said, needs, left_out = _judgements(comparisons, judge, first, second, times)
    judges, names = _by_judge(said, needs, limit), said["judge"].unique()
    logs, scores = _log_weights(said, needs)
    table = _weight_table(needs, logs, scores, confidence).assign(
        consistent_only=_without(said, needs, _beyond(judges)), **_extremes(said, needs, judges)
    )
    table["note"] = "" if len(names) > 1 else "one judge: no interval"
    table = ranked(table)
    table = table.assign(**_moves(table["estimate"].to_numpy()))[list(WEIGHT_COLUMNS)]
    lead, lead_low, lead_high = _lead(table, needs, logs, scores, confidence)
    return AhpWeights(
        table=table,
        judges=len(names),
        comparisons=len(said),
        missing=int(judges["missing"].sum()),
        left_out=left_out,
        consistency_ratio=_group_ratio(said, needs),
        inconsistent=_beyond(judges),
        leader=str(table["need"].iloc[0]),
        lead=lead,
        lead_low=lead_low,
        lead_high=lead_high,
        limit=limit,
        confidence=confidence,
    )


# --- Comparisons ----------------------------------------------------------------------------------


def _judgements(
    comparisons: pd.DataFrame, judge: str, first: str, second: str, times: str
) -> tuple[pd.DataFrame, list[str], int]:
    """One row per judge and pair, the needs in the order of the alphabet, and rows left out.

    ``a`` and ``b`` are places in the list of needs, a < b, ``log`` is of a over b.
    """
    columns = [judge, first, second, times]
    need_columns(comparisons, columns, source=SOURCE)
    said = comparisons[columns].set_axis(["judge", "first", "second", "times"], axis=1)
    _need_times(said["times"], times)
    complete = said.dropna()
    needs = sorted({str(each) for side in ("first", "second") for each in complete[side]})
    if len(needs) < 2:
        raise Refusal(
            f"{SOURCE} name {counted(len(needs), 'need')}.", "compare at least two needs."
        )
    place = {need: at for at, need in enumerate(needs)}
    a, b = (complete[side].astype(str).map(place).to_numpy(int) for side in ("first", "second"))
    log = np.log(complete["times"].to_numpy(float))
    _need_two(complete, a == b)
    tidy = pd.DataFrame(
        {
            "judge": complete["judge"].astype(str).to_numpy(dtype=object),
            "a": np.minimum(a, b),
            "b": np.maximum(a, b),
            "log": np.where(a < b, log, -log),
        },
        index=complete.index,
    )
    return _once(tidy, needs), needs, len(said) - len(complete)


def _need_times(times: pd.Series, column: str) -> None:
    if not pd.api.types.is_numeric_dtype(times):
        raise Problem(
            f"{SOURCE}: {column!r} does not hold numbers.", "write 1/3 as 0.3333, not as text."
        )
    least = np.exp(-SAME) / 9
    off = times[times.notna() & ~times.between(least, 1 / least)]
    if len(off):
        raise Problem(
            f"{SOURCE}: {column!r} has {len(off)} values outside 1/9 to 9 (first rows: "
            f"{first_rows(off)}; values: {sorted(off.unique().tolist())[:8]}).",
            "say how many times as important the first is, from 1/9 (far less) to 9 (far more).",
        )


def _need_two(rows: pd.DataFrame, alike: np.ndarray) -> None:
    if alike.any():
        raise Problem(
            f"{SOURCE}: {int(alike.sum())} rows compare a need with itself (first rows: "
            f"{first_rows(rows[alike])}).",
            "leave these rows out.",
        )


def _once(tidy: pd.DataFrame, needs: list[str]) -> pd.DataFrame:
    """Each pair of a judge once; two rows that say the same count as one."""
    pairs = tidy.groupby(["judge", "a", "b"], sort=False)["log"]
    apart = pairs.transform("max") - pairs.transform("min") > SAME
    if apart.any():
        row = tidy[apart].iloc[0]
        raise Problem(
            f"{SOURCE}: {row['judge']} compares {needs[row['a']]} and {needs[row['b']]} more than "
            f"once and differently (rows: {first_rows(tidy[apart])}).",
            "keep the comparison that is meant; b over a must be 1 over a over b.",
        )
    return tidy.drop_duplicates(["judge", "a", "b"]).reset_index(drop=True)


def _times(value: float) -> str:
    return f"{value:.2g} times" if value >= 1 else f"1/{1 / value:.2g}"


def _blanks(missing: int, left_out: int) -> str:
    words = f", {counted(missing, 'pair')} not compared" if missing else ""
    return words + (f", {counted(left_out, 'row')} with a blank left out" if left_out else "")


# --- Consistency ----------------------------------------------------------------------------------


def _by_judge(said: pd.DataFrame, needs: list[str], limit: float) -> pd.DataFrame:
    """The table of `Consistency`, a few hundred judges' matrices at a time."""
    codes, names = pd.factorize(said["judge"])
    parts = []
    for start in range(0, len(names), CHUNK):
        inside = (codes >= start) & (codes < start + CHUNK)
        block = names[start : start + CHUNK]
        parts.append(_block(said[inside], codes[inside] - start, block, needs))
    table = pd.concat(parts, ignore_index=True)
    ratio = table["consistency_ratio"]
    within = pd.Series(ratio <= limit + 1e-9, dtype="boolean").mask(ratio.isna())
    table.insert(6, "acceptable", within)
    return table.sort_values(
        ["consistency_ratio", "judge"], ascending=[False, True], ignore_index=True
    )


def _block(said: pd.DataFrame, codes: np.ndarray, names, needs: list[str]) -> pd.DataFrame:
    n, shape = len(needs), (len(names), len(needs), len(needs))
    logs, known = np.zeros(shape), np.zeros(shape, dtype=bool)
    a, b, log = (said[column].to_numpy() for column in ("a", "b", "log"))
    logs[codes, a, b], logs[codes, b, a] = log, -log
    known[codes, a, b] = known[codes, b, a] = True
    given = known.sum(axis=(1, 2)) // 2
    missing = n * (n - 1) // 2 - given
    connected = _connected(known)
    largest = np.where(connected, _lambda_max(logs, known), np.nan)
    index = np.maximum(largest - n, 0) / (n - 1)
    pair = _furthest(logs, known)
    said_log, implied = pair.pop("said"), pair.pop("implied")
    return pd.DataFrame(
        {
            "judge": names,
            "comparisons": given,
            "missing": missing,
            "lambda_max": largest,
            "consistency_index": index,
            "consistency_ratio": _ratio(index, missing, n),
            **{side: [needs[at] for at in places] for side, places in pair.items()},
            "said_times": np.exp(said_log),
            "implied_times": np.where(connected, np.exp(implied), np.nan),
            "connected": connected,
            "note": [_why_no_ratio(each, n) for each in connected],
        }
    )


def _why_no_ratio(connected: bool, n: int) -> str:
    if not connected:
        return "the comparisons do not link all needs"
    return f"no random index above {len(RANDOM_INDEX)} needs" if n > len(RANDOM_INDEX) else ""


def _laplacian(known: np.ndarray) -> np.ndarray:
    return np.eye(known.shape[-1]) * known.sum(axis=-1)[..., None] - known


def _connected(known: np.ndarray) -> np.ndarray:
    """Whether the pairs compared link all needs: one zero eigenvalue of the Laplacian."""
    return np.linalg.eigvalsh(_laplacian(known))[..., 1] > 1e-9


def _lambda_max(logs: np.ndarray, known: np.ndarray) -> np.ndarray:
    n = known.shape[-1]
    absent = n - 1 - known.sum(axis=-1)
    matrix = np.where(known, np.exp(logs), 0.0) + np.eye(n) * (1 + absent)[..., None]
    return np.linalg.eigvals(matrix).real.max(axis=-1)


def _ratio(index: np.ndarray, missing: np.ndarray, n: int) -> np.ndarray:
    """Index over random index; where nothing can contradict (a tree of pairs) it is 0."""
    if n > len(RANDOM_INDEX):
        return np.full(len(index), np.nan)
    share = 1 - 2 * missing / ((n - 1) * (n - 2)) if n > 2 else np.zeros(len(index))
    random = RANDOM_INDEX[n - 1] * share
    free = random > 1e-9
    ratio = np.divide(index, random, out=np.zeros(len(index)), where=free)
    return np.where(np.isnan(index), np.nan, ratio)


def _furthest(logs: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    """The comparison of each judge that lies furthest from the judge's own weights."""
    n = known.shape[-1]
    own = _solved(_laplacian(known), logs.sum(axis=-1))
    implied = own[:, :, None] - own[:, None, :]
    # only the said side of a pair that favours its first need, so that it reads "a over b"
    off = np.where(known & ((logs > 0) | ((logs == 0) & np.triu(np.ones((n, n), bool)))), 1.0, -1)
    off = np.where(off > 0, np.abs(logs - implied).round(9), -1.0)
    at = off.reshape(len(off), -1).argmax(axis=1)
    judge, first, second = np.arange(len(off)), at // n, at % n
    return {
        "first": first,
        "second": second,
        "said": logs[judge, first, second],
        "implied": implied[judge, first, second],
    }


def _solved(laplacian: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Log weights that sum to 0; zero where the comparisons do not determine them."""
    return np.einsum("...ij,...j->...i", np.linalg.pinv(laplacian, hermitian=True), right)


def _beyond(table: pd.DataFrame) -> tuple[str, ...]:
    return tuple(map(str, table.loc[~table["acceptable"].fillna(True), "judge"]))


# --- The group's weights --------------------------------------------------------------------------


def _log_weights(said: pd.DataFrame, needs: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Log weights of the group, and each judge's influence on them (judges by needs)."""
    laplacian, right = _normal_equations(said, len(needs))
    if not _connected(laplacian[None] * -1 > 0)[0]:
        raise Refusal(
            "The comparisons do not link all the needs, so that their weights have no common "
            f"measure: {_islands(laplacian, needs)}.",
            "have at least one need of each group compared with one of another.",
        )
    logs = _solved(laplacian, right)
    a, b = said["a"].to_numpy(), said["b"].to_numpy()
    rest = said["log"].to_numpy() - logs[a] + logs[b]
    codes, names = pd.factorize(said["judge"])
    scores = np.zeros((len(names), len(needs)))
    np.add.at(scores, (codes, a), rest)
    np.add.at(scores, (codes, b), -rest)
    return logs, scores @ np.linalg.pinv(laplacian, hermitian=True)


def _normal_equations(said: pd.DataFrame, n: int) -> tuple[np.ndarray, np.ndarray]:
    a, b, log = (said[column].to_numpy() for column in ("a", "b", "log"))
    pairs = np.zeros((n, n))
    np.add.at(pairs, (a, b), 1.0)
    pairs += pairs.T
    right = np.bincount(a, log, minlength=n) - np.bincount(b, log, minlength=n)
    return np.diag(pairs.sum(axis=1)) - pairs, right


def _islands(laplacian: np.ndarray, needs: list[str]) -> str:
    left, told = set(range(len(needs))), []
    while left:
        group = reached = {min(left)}
        while reached:
            reached = {j for i in reached for j in np.flatnonzero(laplacian[i])} - group
            group = group | reached
        told.append(", ".join(needs[at] for at in sorted(group)))
        left -= group
    return " / ".join(told)


def _weights(logs: np.ndarray) -> np.ndarray:
    raised = np.exp(logs - logs.max())
    return raised / raised.sum()


def _weight_table(
    needs: list[str], logs: np.ndarray, influence: np.ndarray, confidence: float
) -> pd.DataFrame:
    weights = _weights(logs)
    others = (influence @ weights)[:, None] - influence * weights
    on_logit = influence - others / (1 - weights)
    half = _half_width(on_logit, confidence)
    low, high = logit_limits(weights, half)
    return pd.DataFrame({"need": needs, "estimate": weights, "low": low, "high": high})


def _half_width(influence: np.ndarray, confidence: float) -> np.ndarray:
    """Student's half width of a sum of judges' influences; missing for one judge."""
    judges = len(influence)
    if judges < 2:
        return np.full(influence.shape[1], np.nan)
    spread = np.sqrt(judges / (judges - 1) * (influence**2).sum(axis=0))
    return stats.t.ppf((1 + confidence) / 2, judges - 1) * spread


def _lead(
    table: pd.DataFrame,
    needs: list[str],
    logs: np.ndarray,
    influence: np.ndarray,
    confidence: float,
) -> tuple[float, float, float]:
    first, second = (needs.index(need) for need in table["need"].iloc[:2])
    apart = logs[first] - logs[second]
    half = _half_width((influence[:, first] - influence[:, second])[:, None], confidence)[0]
    return tuple(
        float(np.exp(apart + side * half)) if side else float(np.exp(apart)) for side in (0, -1, 1)
    )


def _without(said: pd.DataFrame, needs: list[str], beyond: tuple[str, ...]) -> np.ndarray:
    """The weights by the consistent judges alone; missing where they do not link the needs."""
    laplacian, right = _normal_equations(said[~said["judge"].isin(beyond)], len(needs))
    if not _connected(laplacian[None] * -1 > 0)[0]:
        return np.full(len(needs), np.nan)
    return _weights(_solved(laplacian, right))


def _extremes(said: pd.DataFrame, needs: list[str], judges: pd.DataFrame) -> dict[str, np.ndarray]:
    """Least and greatest weight that a single judge gives, of the judges who linked all needs."""
    whole = said[said["judge"].isin(judges.loc[judges["connected"], "judge"])]
    codes, names = pd.factorize(whole["judge"])
    least, most = np.full(len(needs), np.inf), np.full(len(needs), -np.inf)
    for start in range(0, len(names), CHUNK):
        inside = (codes >= start) & (codes < start + CHUNK)
        part, at = whole[inside], codes[inside] - start
        a, b, log = (part[column].to_numpy() for column in ("a", "b", "log"))
        shape = (min(CHUNK, len(names) - start), len(needs))
        known, right = np.zeros((*shape, len(needs)), dtype=bool), np.zeros(shape)
        known[at, a, b] = known[at, b, a] = True
        np.add.at(right, (at, a), log)
        np.add.at(right, (at, b), -log)
        raised = np.exp(_solved(_laplacian(known), right))
        own = raised / raised.sum(axis=1, keepdims=True)
        least, most = np.minimum(least, own.min(axis=0)), np.maximum(most, own.max(axis=0))
    none = np.nan if not len(names) else 0.0
    return {"judge_min": least + none, "judge_max": most + none}


def _group_ratio(said: pd.DataFrame, needs: list[str]) -> float:
    mean = said.groupby(["a", "b"], as_index=False)["log"].mean().assign(judge="all")
    return float(_by_judge(mean, needs, LIMIT)["consistency_ratio"][0])


def _moves(weights: np.ndarray) -> dict[str, np.ndarray]:
    """How far each weight, sorted falling, may move until it meets a neighbour."""
    fall, rise = np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    here, below = weights[:-1], weights[1:]
    fall[:-1] = here - below / (1 - here + below)
    rise[1:] = here / (1 - below + here) - below
    return {"may_fall": np.maximum(fall, 0), "may_rise": np.maximum(rise, 0)}
