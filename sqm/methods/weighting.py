"""What would the answer be if every group had answered alike?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_share, need_sound_weights
from sqm.finding import Finding, counted
from sqm.interval import digits_for, kish, spell

SOURCE = "the survey"
CLOSE = 1e-6  # largest difference of a share from the population's at which raking has converged
ROUNDS = 500
APART = 0.01  # relative difference of two margins' totals that rounding can explain


@dataclass(frozen=True, eq=False)
class Raked(Finding):
    """How far the respondents are from the population, and what making them alike costs.

    Attributes
    ----------
    table : DataFrame, one row per level of each variable
        ``variable``, ``level``, ``respondents``; ``population``, ``answered`` and ``weighted``,
        its share (0 to 1) of the population, of the respondents and after weighting;
        ``mean_weight``, 1 on average.
    respondents, left_out : int
        Respondents weighted, and those who lack a variable.
    rounds : int
        Rounds of raking.
    converged : bool
        Whether every share met the population's.
    worst_gap : float
        Largest difference of a weighted share from the population's, 0 to 1.
    smallest, largest : float
        Weights, in average weights.
    trimmed : int
        Respondents at a limit of the weights.
    effective_n : float
        Kish's effective number: respondents that would say as much if all weighed the same.
    design_effect : float
        Kish's 1 + cv^2 of the weights; clustering is not in it.
    """

    respondents: int
    left_out: int
    rounds: int
    converged: bool
    worst_gap: float
    smallest: float
    largest: float
    trimmed: int
    effective_n: float
    design_effect: float

    def sentence(self) -> str:
        off = self.table["answered"] - self.table["population"]
        row = self.table.loc[off.abs().idxmax()]
        side = "too many" if off.abs().max() == off.max() else "too few"
        words = [
            f"Among those who answered, {row['level']} ({row['variable']}) are {side}: "
            f"{row['answered']:.1%} where the population has {row['population']:.1%}; "
            f"{counted(self.respondents, 'respondent')} weighted to the population count as "
            f"{self.effective_n:,.0f}.\n",
            f"Weights run from {self.smallest:.2f} to {self.largest:.2f} of the average; their "
            f"variation alone multiplies variances by {self.design_effect:.2f} (Kish), which says "
            "nothing about respondents who share a site.",
        ]
        if self.converged:
            words.append(f"Raking met every share in {counted(self.rounds, 'round')}.")
        else:
            words.append(
                f"Raking did not meet every share: after {counted(self.rounds, 'round')} one is "
                f"still {self.worst_gap:.1%} off; merge small levels or widen the limits."
            )
        if self.trimmed:
            words.append(f"{counted(self.trimmed, 'weight')} were held at a limit.")
        if self.left_out:
            words.append(f"{self.left_out:,} who lack one of the variables have no weight.")
        words.append(
            "Weights mend differences between these groups; they cannot mend silence that has to "
            "do with the answer itself."
        )
        return " ".join(words).replace("\n ", "\n")

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = np.arange(len(self.table))
        kinds = (("answered", "other", "answered"), ("population", "usual", "population"))
        ax.hlines(
            rows,
            self.table["answered"] * 100,
            self.table["population"] * 100,
            color=look.MEANING["limit"],
        )
        for column, meaning, words in kinds:
            style = {"marker": look.MARKER[meaning], "color": look.MEANING[meaning], "ls": ""}
            ax.plot(self.table[column] * 100, rows, label=words, **style)
        names = [f"{row.variable} · {row.level}" for row in self.table.itertuples()]
        ax.set_yticks(rows, [look.shorten(name) for name in names])
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.legend(fontsize="small", frameon=False)
        return look.label(ax, title="Who is missing among those who answered?", x="share (%)")


@dataclass(frozen=True, eq=False)
class Weighted(Finding):
    """Each outcome as answered, and as if every group had answered alike.

    Attributes
    ----------
    table : DataFrame, one row per outcome
        ``outcome``, ``respondents``; ``unweighted``, ``unweighted_low``, ``unweighted_high``;
        ``estimate``, ``low``, ``high``, the weighted mean in the outcome's unit; ``se``;
        ``change``, ``change_low``, ``change_high``, weighted less unweighted;
        ``design_effect`` of weights and clusters together; ``effective_n``; ``note``.
    confidence : float
        Level of the intervals, 0 to 1.
    left_out : int
        Respondents without a cluster or without a variable that is raked to.
    clusters : int
        Clusters the respondents come from; 0 if none is named.
    cluster : str
        The column that names them; empty if none.
    raked : tuple of str
        Variables the weights were raked to; empty if the weights were given.
    kish : float
        Design effect of the weights alone.
    """

    confidence: float
    left_out: int
    clusters: int
    cluster: str
    raked: tuple[str, ...]
    kish: float

    def sentence(self) -> str:
        known = self.table.dropna(subset="low")
        if known.empty:
            return f"No outcome can be weighted: {self._unsaid()}"
        size = known["change"].abs() / (known["unweighted_high"] - known["unweighted_low"])
        row = known.loc[size.idxmax() if size.notna().any() else known.index[0]]
        digits = digits_for(row["low"], row["high"])
        found = spell(
            row["estimate"], row["low"], row["high"], confidence=self.confidence, digits=digits
        )
        clear = not row["change_low"] <= 0 <= row["change_high"]
        verdict = "a change beyond chance" if clear else "a change within chance"
        what = f"raked to {', '.join(self.raked)}" if self.raked else "weighted"
        words = [
            f"{row['outcome']} is {found} {what}, {row['unweighted']:.{digits}f} as answered: "
            f"{verdict}{' (the largest of the outcomes)' if len(known) > 1 else ''}.\n"
        ]
        words += [self._change(row), self._design(known)]
        if len(known) < len(self.table):
            words.append(f"Not given: {self._unsaid()}")
        return " ".join(words).replace("\n ", "\n")

    def _change(self, row: pd.Series) -> str:
        low, high = row["change_low"], row["change_high"]
        found = spell(
            row["change"], low, high, confidence=self.confidence, digits=digits_for(low, high)
        )
        return (
            f"Weighting moves it by {found}. It rests on {row['respondents']:,} respondents who "
            "gave at least half of its answers, worth "
            f"{row['effective_n']:,.0f} independent ones.{self._lost()}"
        )

    def _lost(self) -> str:
        if not self.left_out:
            return ""
        lacking = [*self.raked, *([self.cluster] if self.cluster else [])]
        return f" Left out for want of {' or '.join(lacking)}: {self.left_out:,}."

    def _design(self, known: pd.DataFrame) -> str:
        least, most = known["design_effect"].min(), known["design_effect"].max()
        words = (
            f"Standard errors are linearised{', after the raked margins' if self.raked else ''}; "
            f"the design multiplies the variance by {least:.2f} to {most:.2f}, the weights alone "
            f"by {self.kish:.2f} (Kish)."
        )
        if self.clusters:
            few = " That is few: the intervals are approximate." if self.clusters < 20 else ""
            return f"{words} Respondents come from {self.clusters} clusters ({self.cluster}).{few}"
        return (
            f"{words} Respondents are taken as independent; name their clusters if they share any."
        )

    def _unsaid(self) -> str:
        rest = self.table[self.table["low"].isna()]
        return "; ".join(f"{row.outcome} ({row.note})" for row in rest.itertuples()) + "."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        before = self.table[["unweighted", "unweighted_low", "unweighted_high"]]
        before = before.set_axis(["estimate", "low", "high"], axis=1)
        pairs = pd.concat([before, self.table[["estimate", "low", "high"]]]).sort_index(
            kind="stable"
        )
        names = [
            n for o in self.table["outcome"] for n in (f"{o} · as answered", f"{o} · weighted")
        ]
        look.dots(ax, pairs, names=names, meaning=["usual", "other"] * len(self.table))
        return look.label(
            ax, title="Would the answer be another if every group had answered alike?", x="mean"
        )


@dataclass(frozen=True)
class SurveyMean:
    """A mean from a survey with weights, strata and clusters.

    Attributes
    ----------
    estimate, se, low, high : float
        The mean, its standard error and interval, in the unit of the values.
    design_effect : float
        Its variance over that of a simple random sample of the same size.
    effective_n : float
        ``n`` over the design effect; NaN where no variance was seen.
    n, degrees : int
        Values used; clusters less strata.
    """

    estimate: float
    se: float
    low: float
    high: float
    design_effect: float
    effective_n: float
    n: int
    degrees: int


def raking_weights(
    survey: pd.DataFrame,
    *,
    population: pd.DataFrame,
    weight: str | None = None,
    smallest: float = 0.0,
    largest: float = 5.0,
) -> pd.Series:
    """Weigh respondents so that each variable has the population's shares.

    Parameters
    ----------
    survey : DataFrame, one row per respondent
        The variables of ``population`` as columns.
    population : DataFrame, one row per level
        ``variable``, ``level``, ``count``.
    weight : str, optional
        Column with weights to start from, such as the inverse of the chance to be invited.
    smallest, largest : float, default 0 and 5
        Limits of a weight, in average weights; a cap of 5 is the custom of the American
        National Election Studies [2]_.

    Returns
    -------
    Series of float, shape (respondents,)
        1 on average; NaN where a respondent lacks a variable.

    Raises
    ------
    Problem
        If a level is unknown to the other side, margins describe different totals, or weights
        to start from are negative, missing or sum to zero.

    Notes
    -----
    Iterative proportional fitting [1]_: each variable in turn, weights are multiplied by the
    population's share of a level over the weighted share, and held within the limits, until
    no share is off by more than one in a million, or 500 rounds.

    References
    ----------
    .. [1] Deming, W. E., Stephan, F. F. (1940). Annals of Mathematical Statistics 11,
       427-444. doi:10.1214/aoms/1177731829
    .. [2] DeBell, M., Krosnick, J. A. (2009). Computing weights for American National Election
       Study survey data. ANES Technical Report nes012427.

    Examples
    --------
    Three of four came by phone, half of the population does: 0.5 / 0.75 and 0.5 / 0.25.

    >>> survey = pd.DataFrame({"channel": ["phone", "phone", "phone", "chat"]})
    >>> population = pd.DataFrame({"variable": "channel", "level": ["phone", "chat"],
    ...                            "count": [500, 500]})
    >>> raking_weights(survey, population=population).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    return _rake(survey, population, weight, smallest, largest)[0]


def raking(
    survey: pd.DataFrame,
    *,
    population: pd.DataFrame,
    weight: str | None = None,
    smallest: float = 0.0,
    largest: float = 5.0,
) -> Raked:
    """Compare respondents with the population, and say what weighting them to it costs.

    Parameters
    ----------
    survey, population, weight, smallest, largest
        As for :func:`raking_weights`.

    Returns
    -------
    Raked

    Notes
    -----
    Kish's effective number is (sum w)^2 / sum w^2 [1]_.

    References
    ----------
    .. [1] Kish, L. (1965). Survey Sampling. Wiley.

    Examples
    --------
    Weights 2/3, 2/3, 2/3 and 2: 4^2 / (3 * 4/9 + 4) = 3.

    >>> survey = pd.DataFrame({"channel": ["phone", "phone", "phone", "chat"]})
    >>> population = pd.DataFrame({"variable": "channel", "level": ["phone", "chat"],
    ...                            "count": [500, 500]})
    >>> round(raking(survey, population=population).effective_n, 6)
    3.0
    """
    weights, rounds, gap = _rake(survey, population, weight, smallest, largest)
    known = weights.dropna()
    rows = [
        _level_row(survey.loc[weights.notna().to_numpy()], known, name, shares)
        for name, shares in _margins(population).items()
    ]
    at_limit = (known <= smallest * (1 + 1e-9)) | (known >= largest * (1 - 1e-9))
    effect = _kish(known.to_numpy())
    return Raked(
        table=pd.concat(rows, ignore_index=True),
        respondents=len(known),
        left_out=len(weights) - len(known),
        rounds=rounds,
        converged=bool(gap <= CLOSE),
        worst_gap=float(gap),
        smallest=float(known.min()),
        largest=float(known.max()),
        trimmed=int(at_limit.sum()),
        effective_n=float(len(known) / effect),
        design_effect=effect,
    )


def weighted_means(
    survey: pd.DataFrame,
    *,
    outcomes: dict[str, list[str]],
    population: pd.DataFrame | None = None,
    weight: str | None = None,
    cluster: str | None = None,
    smallest: float = 0.0,
    largest: float = 5.0,
    confidence: float = 0.95,
) -> Weighted:
    """Put the weighted mean of each outcome beside the unweighted one.

    Parameters
    ----------
    survey : DataFrame, one row per respondent
        Items worded in reverse already turned round.
    outcomes : dict of str to list of str
        For each outcome its columns, averaged for a respondent who gave at least half of them.
    population : DataFrame, one row per level, optional
        ``variable``, ``level``, ``count``: raked to; without it ``weight`` is used as it is.
    weight : str, optional
        Column of weights (to start from, where there is a population).
    cluster : str, optional
        Column that names what respondents share (a site); those without one are left out.
    smallest, largest : float
        Limits of a raked weight, in average weights.
    confidence : float, default 0.95

    Returns
    -------
    Weighted
        An outcome of fewer than two answers or one value gets NaN and a note.

    Raises
    ------
    Problem
        If weights are negative or sum to zero, or the population does not fit.
    Refusal
        If there is neither a population nor a weight.

    Notes
    -----
    Means are ratios, their standard errors linearised [1]_; after raking the residuals from
    the raked margins take the place of the values [2]_, each divided by one less its leverage
    (as HC3 does) for small samples; clusters are drawn with replacement, and never narrow an
    interval; Student's t has clusters (or respondents) less one degrees of freedom.  The change
    rests on the difference of the two linearised means, so their dependence counts.

    References
    ----------
    .. [1] Binder, D. A. (1983). International Statistical Review 51, 279-292.
       doi:10.2307/1402588
    .. [2] Deville, J.-C., Särndal, C.-E. (1992). JASA 87, 376-382.
       doi:10.1080/01621459.1992.10475217

    Examples
    --------
    Phone 5, 5, 6 and chat 2: as answered 4.5, half and half (16/3 + 2) / 2.

    >>> survey = pd.DataFrame({"channel": ["phone", "phone", "phone", "chat", "chat"],
    ...                        "satisfaction": [5, 5, 6, 2, 2]})
    >>> population = pd.DataFrame({"variable": "channel", "level": ["phone", "chat"],
    ...                            "count": [500, 500]})
    >>> found = weighted_means(survey, outcomes={"satisfaction": ["satisfaction"]},
    ...                        population=population)
    >>> found.table[["unweighted", "estimate"]].round(3).to_numpy().tolist()
    [[4.0, 3.667]]
    """
    need_share(confidence, name="confidence")
    need_columns(survey, [c for each in outcomes.values() for c in each], source=SOURCE)
    given = len(survey)
    if cluster is not None:
        need_columns(survey, [cluster], source=SOURCE)
        survey = survey[survey[cluster].notna()]
    weights = _weights(survey, population, weight, smallest, largest)
    used = weights.notna().to_numpy()
    rows, weights = survey[used], weights[used]
    names = [] if population is None else list(_margins(population))
    start = np.ones(len(rows)) if weight is None else rows[weight].to_numpy(dtype=float)
    design = _Design(
        weights.to_numpy(dtype=float),
        _indicators(rows[names]) if names else None,
        start,
        None if cluster is None else rows[cluster].to_numpy(dtype=object),
    )
    table = [_outcome(name, rows[c], design, confidence) for name, c in outcomes.items()]
    return Weighted(
        table=pd.DataFrame(table),
        confidence=confidence,
        left_out=given - len(rows),
        clusters=0 if cluster is None else int(rows[cluster].nunique()),
        cluster=cluster or "",
        raked=tuple(names),
        kish=_kish(weights.to_numpy(dtype=float)),
    )


def survey_mean(
    values: pd.Series,
    *,
    weights: pd.Series,
    strata: pd.Series | None = None,
    clusters: pd.Series | None = None,
    population: pd.Series | None = None,
    margins: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> SurveyMean:
    """Estimate a mean from a stratified, clustered, weighted or raked sample.

    Parameters
    ----------
    values : Series of float, shape (rows,)
        Blanks are left out of the mean, their rows stay in the design.
    weights : Series of float, shape (rows,)
        How many each row stands for.
    strata, clusters : Series, shape (rows,), optional
        One stratum, each row its own cluster, where not given.
    population : Series of float, shape (rows,), optional
        Clusters (rows, where there are none) in the row's stratum in the population, for the
        finite population correction.
    margins : DataFrame, shape (rows, variables), optional
        Variables to which ``weights`` were raked from equal ones.
    confidence : float, default 0.95

    Returns
    -------
    SurveyMean

    Raises
    ------
    Problem
        If weights are negative, missing or sum to zero, or a stratum holds more clusters than
        its population.
    Refusal
        If a stratum has one cluster, or fewer than two values are there.

    Notes
    -----
    With z_i = w_i (y_i - mean) / sum(w), summed to clusters, the variance is
    sum_h (1 - n_h/N_h) n_h/(n_h - 1) sum_i (z_hi - mean of z_h)^2 [1]_; after raking, z is
    w times the residual of z/w from the raked margins.  No small-sample correction, so that
    it agrees with other programs.

    References
    ----------
    .. [1] Lumley, T. (2010). Complex Surveys. Wiley.  doi:10.1002/9780470580066

    Examples
    --------
    Equal weights: the standard error is sd / sqrt(n) = sqrt(2.5 / 5).

    >>> found = survey_mean(pd.Series([1.0, 2, 3, 4, 5]), weights=pd.Series([1.0] * 5))
    >>> found.estimate, round(found.se**2, 9), round(found.design_effect, 9)
    (3.0, 0.5, 1.0)
    """
    need_share(confidence, name="confidence")
    w = need_sound_weights(weights, name="the column of weights")
    y = values.to_numpy(dtype=float, na_value=np.nan)
    there = ~np.isnan(y) & (w > 0)
    if there.sum() < 2:
        raise Refusal(f"A mean needs two values, {there.sum()} are there.", "collect more.")
    total = w[there].sum()
    mean = float((w * np.nan_to_num(y) * there).sum() / total)
    z = np.where(there, w * (np.nan_to_num(y) - mean), 0.0) / total
    if margins is not None:
        each = np.divide(z, w, out=np.zeros(len(w)), where=w > 0)  # a weight of 0 adds nothing
        z = w * _residuals(each, _indicators(margins), np.ones(len(w)), leverage=False)
    rows = pd.Series(np.arange(len(w)))
    groups = rows if clusters is None else clusters.reset_index(drop=True)
    layers = pd.Series(0, index=rows) if strata is None else strata.reset_index(drop=True)
    sizes = None if population is None else population.to_numpy(dtype=float)
    variance, degrees = _between(z, layers, groups, sizes)
    spread = (w * (np.nan_to_num(y) - mean) ** 2)[there].sum() / total
    n = int(there.sum())
    simple = spread * n / (n - 1) / n * (1 if population is None else max(1 - n / total, 0.0))
    effect = float(variance / simple) if simple > 0 else np.nan
    half = float(stats.t.ppf((1 + confidence) / 2, degrees) * np.sqrt(variance))
    worth = n / effect if effect > 0 else np.nan
    return SurveyMean(mean, variance**0.5, mean - half, mean + half, effect, worth, n, degrees)


# --- Raking ---------------------------------------------------------------------------------------


def _margins(population: pd.DataFrame) -> dict[str, pd.Series]:
    """Share of each level, per variable, in the order given."""
    need_columns(population, ["variable", "level", "count"], source="the population")
    if population.empty:
        raise Problem("The population has no row.", "list variable, level and count.")
    count = population["count"].to_numpy(dtype=float, na_value=np.nan)
    if not (np.isfinite(count) & (count >= 0)).all():
        raise Problem("The population has counts missing or below 0.", "correct its table.")
    twice = population.duplicated(["variable", "level"])
    if twice.any():
        row = population[twice].iloc[0]
        raise Problem(f"The population lists {row['variable']} {row['level']!r} twice.", "add up.")
    totals = population.assign(count=count).groupby("variable", sort=False)["count"].sum()
    if not totals.min() > 0:
        raise Problem(
            f"The population's counts for {totals.idxmin()!r} add up to 0: it holds nobody.",
            "give the number of customers in each level, or leave the variable out.",
        )
    if totals.max() / totals.min() - 1 > APART:
        told = ", ".join(f"{name} {total:,.0f}" for name, total in totals.items())
        raise Problem(
            f"The margins of the population do not describe the same people: {told}.",
            "give each variable's counts for the same population; they must add up alike.",
        )
    return {
        str(name): rows.set_index("level")["count"].astype(float) / totals[name]
        for name, rows in population.groupby("variable", sort=False)
    }


def _need_levels(rows: pd.DataFrame, margins: dict[str, pd.Series]) -> None:
    for name, shares in margins.items():
        seen = pd.Index(rows[name].unique())
        strange = sorted(map(str, seen.difference(shares.index)))
        if strange:
            raise Problem(
                f"{SOURCE}: {name!r} has levels that the population lacks: "
                f"{', '.join(strange[:8])}.",
                "use the same words in both, or add the level's count to the population.",
            )
        empty = [str(level) for level in shares.index[shares > 0] if level not in seen]
        if empty:
            raise Problem(
                f"Nobody who answered has {name!r} {', '.join(empty[:8])}, which the population "
                "has: no weight can speak for them.",
                "merge that level with a similar one in both tables, or leave the variable out.",
            )


def _rake(survey, population, weight, smallest, largest) -> tuple[pd.Series, int, float]:
    """Weights, rounds, and the largest difference of a share that is left."""
    if not 0 <= smallest < 1 < largest:
        raise Problem(
            f"Weights are to lie between {smallest} and {largest} of the average.",
            "give limits on either side of 1.",
        )
    margins = _margins(population)
    need_columns(survey, margins, source=SOURCE)
    known = survey[list(margins)].notna().all(axis="columns").to_numpy()
    if not known.any():
        raise Refusal("No respondent has every variable of the population.", "check the columns.")
    rows = survey[known]
    _need_levels(rows, margins)
    start = np.ones(len(rows))
    if weight is not None:
        start = need_sound_weights(rows[weight], name=f"{SOURCE}: {weight!r}")
    codes = [shares.index.get_indexer(rows[name]) for name, shares in margins.items()]
    w, rounds, gap = _fit(start, codes, [s.to_numpy() for s in margins.values()], smallest, largest)
    weights = pd.Series(np.nan, index=survey.index, name="weight")
    weights.loc[known] = w
    return weights, rounds, gap


def _fit(start, codes, shares, smallest, largest) -> tuple[np.ndarray, int, float]:
    w = start / start.mean()
    rounds, gap = 0, np.inf
    while gap > CLOSE and rounds < ROUNDS:
        rounds += 1
        for code, share in zip(codes, shares, strict=True):
            now = np.bincount(code, weights=w, minlength=len(share))
            w = w * np.divide(share * len(w), now, out=np.zeros(len(share)), where=now > 0)[code]
        w = _within(w, smallest, largest)
        gap = max(
            np.abs(np.bincount(code, weights=w, minlength=len(share)) / len(w) - share).max()
            for code, share in zip(codes, shares, strict=True)
        )
    return w, rounds, float(gap)


def _within(w: np.ndarray, smallest: float, largest: float) -> np.ndarray:
    """Weights held within the limits, their average 1 again."""
    w = w / w.mean()
    for _ in range(ROUNDS):
        if w.min() >= smallest - 1e-9 and w.max() <= largest + 1e-9:
            break
        w = np.clip(w, smallest, largest)
        w = w / w.mean()
    return w


def _kish(w: np.ndarray) -> float:
    return len(w) / kish(w)


def _level_row(rows: pd.DataFrame, w: pd.Series, name: str, shares: pd.Series) -> pd.DataFrame:
    code = shares.index.get_indexer(rows[name])
    number = np.bincount(code, minlength=len(shares))
    mass = np.bincount(code, weights=w.to_numpy(), minlength=len(shares))
    return pd.DataFrame(
        {
            "variable": name,
            "level": shares.index.astype(str),
            "respondents": number,
            "population": shares.to_numpy(),
            "answered": number / len(rows),
            "weighted": mass / w.sum(),
            "mean_weight": np.divide(
                mass, number, out=np.full(len(number), np.nan), where=number > 0
            ),
        }
    )


# --- Standard errors ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Design:
    """What all outcomes share: weights, raked margins as indicators, weights before, clusters."""

    weights: np.ndarray
    margins: np.ndarray | None
    start: np.ndarray
    clusters: np.ndarray | None


def _weights(survey, population, weight, smallest, largest) -> pd.Series:
    if population is not None:
        return _rake(survey, population, weight, smallest, largest)[0]
    if weight is None:
        raise Refusal(
            "There is neither a population to weight to nor a column of weights.",
            "name the table `population` (variable, level, count), or the role `weight`.",
        )
    need_columns(survey, [weight], source=SOURCE)
    w = need_sound_weights(survey[weight], name=f"{SOURCE}: {weight!r}")
    return pd.Series(w / w.mean(), index=survey.index)


def _indicators(margins: pd.DataFrame) -> np.ndarray:
    """One column per level of each variable."""
    return np.column_stack(
        [pd.get_dummies(margins[name].astype("str"), dtype=float) for name in margins]
    )


def _residuals(
    z: np.ndarray, margins: np.ndarray, start: np.ndarray, *, leverage: bool
) -> np.ndarray:
    """What the margins leave of z, by least squares with the weights before raking."""
    root = np.sqrt(start)
    u, size, _ = np.linalg.svd(margins * root[:, None], full_matrices=False)
    u = u[:, size > 1e-9 * size[0]]
    left = z - np.divide(u @ (u.T @ (z * root)), root, out=np.zeros(len(z)), where=root > 0)
    if leverage:
        left = left / np.clip(1 - (u**2).sum(axis=1), 0.05, None)
    return left


def _between(z, layers, groups, sizes) -> tuple[float, int]:
    """Variance of the sum of z over clusters within strata, and its degrees of freedom."""
    frame = pd.DataFrame({"stratum": layers.to_numpy(), "cluster": groups.to_numpy(), "z": z})
    frame["size"] = np.inf if sizes is None else sizes
    sums = frame.groupby(["stratum", "cluster"], sort=False).agg({"z": "sum", "size": "first"})
    by = sums.groupby("stratum", sort=False)
    n, size = by["z"].size(), by["size"].first()
    if (n < 2).any():
        raise Refusal(
            f"Stratum {n.index[n < 2][0]!r} has one cluster, which shows no variation.",
            "merge it with a similar stratum.",
        )
    if (n > size).any():
        raise Problem("A stratum has more clusters than its population.", "check `population`.")
    variance = ((1 - n / size) * n * by["z"].var(ddof=0) * n / (n - 1)).sum()
    return float(variance), int((n - 1).sum())


def _outcome(name: str, columns: pd.DataFrame, design: _Design, confidence: float) -> dict:
    given = columns.astype(float)
    enough = given.notna().sum(axis=1) >= max(given.shape[1] / 2, 1)
    y = given.mean(axis=1).where(enough).to_numpy(dtype=float, na_value=np.nan)
    there = ~np.isnan(y) & (design.weights > 0)
    row = {"outcome": name, "respondents": int(there.sum())}
    flat = there.sum() < 2 or np.ptp(y[there]) == 0
    alone = design.clusters is not None and len(pd.unique(design.clusters[there])) < 2
    if flat or alone:
        keys = ["unweighted", "unweighted_low", "unweighted_high", "estimate", "low", "high", "se"]
        keys += ["change", "change_low", "change_high", "design_effect", "effective_n"]
        note = "all answers are alike, or fewer than two" if flat else "all lie in one cluster"
        return row | dict.fromkeys(keys, np.nan) | {"note": note}
    return row | _two_means(np.nan_to_num(y), there, design, confidence) | {"note": ""}


def _two_means(y, there, design: _Design, confidence: float) -> dict:
    """The mean unweighted and weighted, and the change, with intervals of one design."""
    w, n = design.weights, int(there.sum())
    plain = float(y[there].mean())
    mean = float((w * y)[there].sum() / w[there].sum())
    z_plain = np.where(there, y - plain, 0.0) / n
    z = np.where(there, y - mean, 0.0) / w[there].sum()
    if design.margins is not None:
        z = _residuals(z, design.margins, design.start, leverage=True)
    z = z * w
    parts = {"unweighted_": (plain, z_plain), "": (mean, z), "change_": (mean - plain, z - z_plain)}
    found = {"unweighted": plain, "estimate": mean, "change": mean - plain}
    for key, (estimate, each) in parts.items():
        variance, degrees = _variance(each, design.clusters)
        half = stats.t.ppf((1 + confidence) / 2, degrees) * np.sqrt(variance)
        found |= {f"{key}low": estimate - half, f"{key}high": estimate + half}
    found["se"] = float(np.sqrt(_variance(z, design.clusters)[0]))
    spread = (w * (y - mean) ** 2)[there].sum() / w[there].sum()
    found["design_effect"] = float(found["se"] ** 2 / (spread / (n - 1)))
    found["effective_n"] = n / found["design_effect"] if found["design_effect"] > 0 else np.nan
    return found


def _variance(z: np.ndarray, clusters: np.ndarray | None) -> tuple[float, int]:
    """Variance of the sum of z over clusters drawn with replacement, and its degrees of freedom."""
    alone = float(len(z) * z.var(ddof=1))
    if clusters is None:
        return alone, len(z) - 1
    sums = np.bincount(pd.factorize(clusters)[0], weights=z)
    return max(float(len(sums) * sums.var(ddof=1)), alone), len(sums) - 1
