"""What did sites with a change do, week by week, that sites without it did not?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from scipy import linalg, stats

from sqm import clock
from sqm.autocorrelation import need_sound_panel, persistence, variance_of_mean, weeks_of
from sqm.checks import Problem, Refusal, nearest, need_columns
from sqm.evidence import Rung
from sqm.finding import counted, together
from sqm.interval import digits_for

WEEKS_BEFORE, WEEKS_AFTER = 8, 2  # the fewest that bear the question
WEEK = pd.Timedelta(days=7)
QUARTER = 13  # weeks; the unit of time of the slope before the change
SITES_FOR_RETURN = 5  # the fewest whose differences can be told from chance
PERMUTATIONS = 4999  # the most choices of sites that are tried
TOO_WIDE = 2.0  # times the design's own interval: a placebo that wide has tested little
DRAWS = 1000

DIFFERENCE = "difference in differences"
RETURNED = "less what comes back by itself"

_PANEL = ("site", "period", "n", "mean")


# --- What comes in --------------------------------------------------------------------------------


def site_weeks(
    records: pd.DataFrame,
    *,
    time: str = "arrived",
    site: str = "site",
    measure: str,
    calendar: clock.Calendar,
) -> pd.DataFrame:
    """Average a measure by site and whole week.

    Parameters
    ----------
    records : DataFrame, one row a contact
    time, site, measure : str
        Columns: when, where, and what is averaged (numbers, or yes and no).
    calendar : Calendar
        Says when a week starts and which days are worked.

    Returns
    -------
    DataFrame, one row a site and week with a value
        ``site``, ``period`` (the week's first day, local, without zone), ``n``
        (records with a value), ``mean``, ``left_out`` (records without one).
        A row without a time or a site is in no site-week.

    Raises
    ------
    Problem
        If a column is missing, or ``measure`` is text.

    Examples
    --------
    >>> week = pd.DataFrame({"arrived": pd.date_range("2025-09-29", periods=7), "site": "N1",
    ...                      "resolved": [True, True, False, None, True, None, None]})
    >>> site_weeks(week, measure="resolved", calendar=clock.Calendar())[
    ...     ["n", "mean", "left_out"]].values.tolist()
    [[4.0, 0.75, 3.0]]
    """
    need_columns(records, [time, site, measure], source="The table of records")
    when = records[time]
    frame = pd.DataFrame(
        {
            "site": records[site],
            "period": clock.week_of(when, calendar=calendar),
            "value": numbers(records[measure], name=measure),
        }
    ).dropna(subset=["site", "period"])
    frame = frame[frame["period"].isin(clock.whole_weeks(when, calendar=calendar))]
    by = frame.groupby(["site", "period"], sort=True)["value"]
    panel = by.agg(n="count", mean="mean", rows="size").reset_index()
    panel["left_out"] = panel.pop("rows") - panel["n"]
    return panel[panel["n"] > 0].reset_index(drop=True)


def numbers(values: pd.Series, *, name: str) -> pd.Series:
    """Numbers, or yes and no as 1 and 0; text is a Problem.

    Examples
    --------
    >>> numbers(pd.Series([True, None, False], dtype="boolean"), name="resolved").tolist()
    [1.0, nan, 0.0]
    """
    try:
        return values.astype("Float64").astype(float)
    except (TypeError, ValueError):
        raise Problem(
            f"{name!r} holds text such as {str(values.dropna().iloc[0])!r}.",
            "give a column of numbers or of True and False.",
        ) from None


def checked(panel: pd.DataFrame, treated: list[str]) -> pd.DataFrame:
    """The panel in order, with a column ``treated``, or a Problem.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period``, ``n``, ``mean``; ``left_out`` is kept if there.
    treated : list of str
    """
    need_columns(panel, ["site", "period", "n", "mean"], source="The panel")
    need_sound_panel(panel)
    bad = panel[~((panel["n"] > 0) & np.isfinite(panel["mean"].astype(float)))]
    if len(bad):
        raise Problem(
            f"The panel has {len(bad)} rows without records or without a mean"
            f" (first: {bad['site'].iloc[0]!r}, {bad['period'].iloc[0]:%Y-%m-%d}).",
            "leave such rows out.",
        )
    treated = known_sites(treated, panel)
    columns = [name for name in (*_PANEL, "left_out") if name in panel]
    ordered = panel[columns].sort_values(["site", "period"], ignore_index=True)
    site = ordered["site"].astype(str)
    return ordered.assign(site=site, treated=site.isin(treated), mean=ordered["mean"].astype(float))


def known_sites(treated: list[str], panel: pd.DataFrame) -> list[str]:
    """The changed sites by name, all of them in the panel, or a Refusal with the nearest name."""
    sites = sorted(panel["site"].astype(str).unique())
    treated = [str(name) for name in treated]  # a parameters file reads site 12 as a number
    for name in treated:
        if name not in sites:
            raise Refusal(
                f"The site {name!r} has no whole week of records with a value.",
                nearest(name, sites) if sites else "collect whole weeks, before and after.",
            )
    return treated


def usable(panel: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Weeks that both groups have, at sites that have weeks on both sides of the change."""
    in_two = (panel["period"] < day) & (panel["period"] + WEEK > day)
    used = panel[~in_two].assign(after=panel["period"] >= day)
    while True:
        both = used.groupby("period")["treated"].transform("nunique") == 2
        sides = used[both].groupby("site")["after"].nunique()
        kept = used[both & used["site"].isin(sides.index[sides == 2])]
        if len(kept) == len(used):
            return used.reset_index(drop=True)
        if kept.empty:
            return _nothing_in_common(panel, used, day)
        used = kept


def _nothing_in_common(panel: pd.DataFrame, used: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Say why nothing is left to compare."""
    if not panel["treated"].any() or panel["treated"].all():
        which = "without" if panel["treated"].all() else "with"
        raise Refusal(
            f"There is no site {which} the change.",
            "name the sites with the change; some sites must go without it.",
        )
    span = clock.span_words(panel["period"])
    raise Refusal(
        f"Sites with and without the change have no common weeks on both sides of {day:%Y-%m-%d}"
        f" (weeks in the data: {span}).",
        "compare sites that were observed at the same time, before and after.",
    )


def need_enough(used: pd.DataFrame, *, fewest_with: int = 2) -> None:
    """Insist on enough sites and weeks on both sides, and on a measure that varies."""
    for value, fewest, which in ((True, fewest_with, "with"), (False, 2, "without")):
        sites = used.loc[used["treated"] == value, "site"].unique()
        if len(sites) < fewest:
            raise Refusal(
                f"Only one site {which} the change can be used ({sites[0]}): what happened to that"
                " site alone cannot be told from the effect of the change.",
                "compare two sites or more on each side.",
            )
    weeks = used.groupby("after")["period"].nunique()
    for value, fewest, which in ((False, WEEKS_BEFORE, "before"), (True, WEEKS_AFTER, "after")):
        if weeks.get(value, 0) < fewest:
            raise Refusal(
                f"Both groups have only {counted(int(weeks.get(value, 0)), 'whole week')} {which}"
                f" the change; {fewest} are the fewest that show how weeks differ by themselves.",
                "collect more weeks.",
            )
    if np.ptp(used["mean"]) == 0:
        raise Refusal("The measure is the same in every week at every site.", "check the measure.")


def day_of(text: str) -> pd.Timestamp:
    """Read the date of the change; an hour is dropped.

    Examples
    --------
    >>> str(day_of("2025-09-29"))
    '2025-09-29 00:00:00'
    """
    try:
        return pd.Timestamp(datetime.fromisoformat(str(text))).tz_localize(None).normalize()
    except ValueError:
        raise Problem(
            f"The date of the change, {text!r}, cannot be read.",
            "write year, month and day: 2025-09-29.",
        ) from None


# --- Two-way fixed effects ------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """A step or slope with its interval.

    Attributes
    ----------
    estimate, low, high : float
    standard_error, degrees_of_freedom : float
        Clustered by site (CR2), and of Student's t that the interval uses.
    n, sites : int
        Records and sites.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    n: int
    sites: int


def two_way(rows: pd.DataFrame, dose: pd.Series, *, confidence: float, weeks: bool = True) -> Fit:
    """Coefficient of ``dose`` beside site (and week) effects, with a CR2 interval by site.

    Parameters
    ----------
    rows : DataFrame, one row a site and week
        ``site``, ``period``, ``n`` (the weight), ``mean``.
    dose : Series, shape (rows,)
    confidence : float
    weeks : bool, default True
        Whether weeks have effects.

    Notes
    -----
    The correction and its degrees of freedom are those of Bell and McCaffrey (2002), Survey
    Methodology 28, 169-181, and Pustejovsky and Tipton (2018), doi:10.1080/07350015.2016.1247004.

    Examples
    --------
    A goes from 1 to 4, B from 1 to 6, C and D from 1 to 2: 4 - 1.

    >>> rows = pd.DataFrame({"site": list("ABCD") * 2, "period": [0] * 4 + [1] * 4, "n": 1,
    ...                      "mean": [1, 1, 1, 1, 4, 6, 2, 2]})
    >>> round(two_way(rows, pd.Series([0.0] * 4 + [1, 1, 0, 0]), confidence=0.95).estimate, 6)
    3.0
    """
    root = np.sqrt(rows["n"].to_numpy(float))
    basis = _basis(rows, weeks=weeks)
    x, y = (_without(basis, root * np.asarray(part, float)) for part in (dose, rows["mean"]))
    size = float(x @ x)
    estimate = float(x @ y) / size
    variance, df = _cr2(
        np.column_stack([basis, x / np.sqrt(size)]), x, y - x * estimate, rows["site"]
    )
    error = float(np.sqrt(variance)) / size
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * error
    return Fit(
        estimate,
        estimate - half,
        estimate + half,
        error,
        df,
        int(rows["n"].sum()),
        rows["site"].nunique(),
    )


def _basis(rows: pd.DataFrame, *, weeks: bool) -> np.ndarray:
    """Orthonormal columns that span the site (and week) effects, weighted by root n."""
    parts = [pd.get_dummies(rows[name]) for name in ("site", "period")[: 1 + weeks]]
    dummies = np.hstack([part.to_numpy(float) for part in parts])
    dummies *= np.sqrt(rows["n"].to_numpy(float))[:, None]
    q, r, _ = linalg.qr(dummies, mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    return q[:, size > 1e-10 * size[0]]


def _without(basis: np.ndarray, values: np.ndarray) -> np.ndarray:
    return values - basis @ (basis.T @ values)


def _cr2(
    design: np.ndarray, x: np.ndarray, residual: np.ndarray, site: pd.Series
) -> tuple[float, float]:
    """CR2 variance of x'y, and Satterthwaite's degrees of freedom for it.

    ``design`` is orthonormal and spans the whole model, so that the annihilator
    M = I - design design' and, for the score vectors q_g = M[:, g] a_g,
    q_g'q_h = [g = h] a_g'a_g - (design_g'a_g)'(design_h'a_h).
    """
    scores, lengths, shadows = [], [], []
    for rows in site.groupby(site.to_numpy()).indices.values():
        part = design[rows]
        values, vectors = np.linalg.eigh(np.eye(len(rows)) - part @ part.T)
        kept = values > 1e-8
        a = vectors[:, kept] @ ((vectors[:, kept].T @ x[rows]) / np.sqrt(values[kept]))
        scores.append(a @ residual[rows])
        lengths.append(a @ a)
        shadows.append(part.T @ a)
    shadows = np.array(shadows)
    gram = np.diag(lengths) - shadows @ shadows.T
    return float(np.square(scores).sum()), float(np.trace(gram) ** 2 / np.square(gram).sum())


def late_half(before: pd.DataFrame) -> pd.Series:
    """1 from the made-up date in the middle of these weeks on, 0 before it."""
    weeks = np.sort(before["period"].unique())
    return (before["period"] >= weeks[len(weeks) // 2]).astype(float)


def fits_of(
    used: pd.DataFrame, confidence: float, rng: np.random.Generator, permutations: int
) -> tuple[dict[str, Fit], dict[str, Choices]]:
    """Every estimate that rests on a group of sites, and what other choices of sites give.

    Parameters
    ----------
    used : DataFrame
        As `usable` gives it: ``site``, ``period``, ``n``, ``mean``, ``treated``, ``after``.

    Returns
    -------
    dict of str to Fit
        ``did``, ``naive``, ``elsewhere``, ``false date``, ``slope`` (a quarter).
    dict of str to Choices
        Of the first and the placebos.
    """
    fits, chosen = {}, {}
    for kind, value in (("naive", True), ("elsewhere", False)):
        group = used[used["treated"] == value]
        fits[kind] = two_way(group, group["after"], confidence=confidence, weeks=False)
    for kind, (rows, move) in _moves(used).items():
        fits[kind] = two_way(rows, move * rows["treated"], confidence=confidence)
        chosen[kind] = other_choices(rows, move, rng, permutations)
    return fits, chosen


def _moves(used: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, pd.Series]]:
    """The step, and the placebos in time, each with the rows that it is asked of."""
    before = used[~used["after"]]
    return {
        "did": (used, used["after"].astype(float)),
        "false date": (before, late_half(before)),
        "slope": (before, (before["period"] - before["period"].min()) / WEEK / QUARTER),
    }


# --- Chance, site by site and by choosing other sites ---------------------------------------------


@dataclass(frozen=True)
class Choices:
    """In how many of the choices of as many sites the estimate is as large.

    Attributes
    ----------
    p : float
    as_large, choices : int
    all_choices : bool
        Whether every possible choice was tried, or a sample.
    """

    p: float
    as_large: int
    choices: int
    all_choices: bool


def other_choices(
    rows: pd.DataFrame, move: pd.Series, rng: np.random.Generator, permutations: int
) -> Choices:
    """How often does another choice of as many sites give as large an estimate?

    With a the 0/1 vector of chosen sites and P the moves site by site, the
    estimate is a'P'My / a'P'MPa: small matrices serve every choice.
    """
    products, curve = _site_products(rows, move)
    treated = rows.groupby("site")["treated"].first().to_numpy()
    choices, every = _choices(treated, rng, permutations)
    found = np.abs(choices @ products / np.einsum("ij,jk,ik->i", choices, curve, choices))
    as_large = int((found >= found[0] * (1 - 1e-9)).sum())
    return Choices(as_large / len(found), as_large, len(found), every)


def _site_products(rows: pd.DataFrame, move: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """P'My and P'MP, sites in order of name."""
    root = np.sqrt(rows["n"].to_numpy(float))
    each = pd.get_dummies(rows["site"]).to_numpy(float) * (root * np.asarray(move))[:, None]
    inner = _without(_basis(rows, weeks=True), each)
    return inner.T @ (root * rows["mean"].to_numpy()), inner.T @ inner


def _choices(
    treated: np.ndarray, rng: np.random.Generator, permutations: int
) -> tuple[np.ndarray, bool]:
    """Choices of as many sites as were treated, the true one first; all of them if few enough."""
    sites, k = len(treated), int(treated.sum())
    every = comb(sites, k) <= permutations
    if every:
        others = np.zeros((comb(sites, k), sites))
        for row, chosen in enumerate(combinations(range(sites), k)):
            others[row, chosen] = 1
        others = others[(others != treated).any(axis=1)]
    else:
        others = rng.permuted(np.tile(treated, (permutations - 1, 1)), axis=1)
    return np.vstack([treated, others]).astype(float), every


def contradicted(chosen: Choices, confidence: float) -> bool:
    """Whether as large an estimate comes up too often among other choices of sites.

    With too few choices to be as rare as that, nothing is contradicted.

    Examples
    --------
    >>> contradicted(Choices(0.11, 55, 495, True), 0.95)
    True
    >>> contradicted(Choices(0.33, 2, 6, True), 0.95)
    False
    """
    return chosen.choices * (1 - confidence) >= 2 and chosen.p > 1 - confidence


def each_site(used: pd.DataFrame, move: pd.Series, *, confidence: float) -> pd.DataFrame:
    """Each site by itself against the (other) sites without the change.

    The interval borrows the spread of those others (Conley and Taber 2011,
    doi:10.1162/REST_a_00049).

    Parameters
    ----------
    used : DataFrame
        As `usable` gives it.
    move : Series, shape (rows,)
        The step or slope whose size is asked; the same at every site.

    Returns
    -------
    DataFrame, one row a site, those with the change first
        ``kind`` (``site`` or ``untreated``), ``label``, ``estimate``, ``low``,
        ``high``, ``p``, ``n``, ``sites``.
    """
    products, curve = _site_products(used, move.astype(float))
    changes = pd.DataFrame(
        {
            # the changes are known up to what all sites share, which cancels below
            "change": np.linalg.lstsq(curve, products, rcond=1e-10)[0],
            "weight": _weight(used, move.astype(float)),
            "treated": used.groupby("site")["treated"].first().to_numpy(),
        },
        index=pd.Index(sorted(used["site"].unique()), name="site"),
    )
    changes = changes.sort_values("treated", ascending=False, kind="stable")
    rows = [_alone(changes, site, confidence) for site in changes.index]
    n = used.groupby("site")["n"].sum()
    return pd.DataFrame(rows).assign(n=n[changes.index].to_numpy(), sites=1)


def _weight(used: pd.DataFrame, move: pd.Series) -> np.ndarray:
    """Precision of each site's move: of a step, 1 / (1 / n before + 1 / n after)."""
    sums = pd.DataFrame({"n": used["n"], "x": used["n"] * move, "xx": used["n"] * move**2})
    sums = sums.groupby(used["site"]).sum()
    return (sums["xx"] - sums["x"] ** 2 / sums["n"]).to_numpy()


def _alone(changes: pd.DataFrame, site: str, confidence: float) -> dict:
    one = changes.loc[site]
    others = changes[~changes["treated"] & (changes.index != site)]
    weight, df = others["weight"], len(others) - 1
    usual = float(np.average(others["change"], weights=weight))
    row = {
        "kind": "site" if one["treated"] else "untreated",
        "label": site,
        "estimate": float(one["change"]) - usual,
        **dict.fromkeys(("low", "high", "p"), np.nan),
    }
    if df < 1:
        return row
    spread = (weight * (others["change"] - usual) ** 2).sum() / df
    by_size = float(np.sqrt(spread * (1 / one["weight"] + 1 / weight.sum())))
    # a large site is surer only if sites wobble by their size; if they do not, all are alike
    alike = float(np.sqrt(others["change"].var(ddof=1) * (1 + 1 / len(others))))
    error = max(by_size, alike)
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * error
    p = 2 * float(stats.t.sf(abs(row["estimate"]) / error, df)) if error > 0 else np.nan
    return {**row, "low": row["estimate"] - half, "high": row["estimate"] + half, "p": p}


# --- What they say --------------------------------------------------------------------------------


def difference(
    panel: pd.DataFrame,
    *,
    treated: list[str],
    change_on: str,
    confidence: float,
    rng: np.random.Generator,
    picked_worst: bool = False,
) -> Rung:
    """Difference in differences as one row of the evidence, with its checks.

    Parameters
    ----------
    panel : DataFrame, one row a site and week
        ``site``, ``period``, ``n``, ``mean``.
    treated : list of str
        Sites with the change.  A single one is judged by how the others differ.
    change_on : str
    confidence : float
    rng : Generator
    picked_worst : bool, default False
        Whether those sites were picked because they did badly before: what would have come back
        by itself is then taken off (see `less_what_comes_back`).

    Raises
    ------
    Problem, Refusal
        As `sqm.methods.effect.difference_in_differences`; one site with the change needs three
        without it.

    Notes
    -----
    The check is passed if a made-up date in the middle of the weeks before and the drift between
    the groups over those weeks both hold zero (each at 1 - (1 - confidence) / 2, so that both do
    with the level asked for).  A made-up date whose interval is more than twice as wide as that
    of the estimate has tested too little: cannot say.  The placebo in space is part of the
    interval: where it leaves zero out, but as large a difference comes up in more than 5 % (at
    95 %) of 40 or more choices of sites, the interval is drawn out to zero, which is
    conservative; so is the interval where what comes back is taken off.

    Examples
    --------
    Two sites of four go from 1 to 4 and to 6, the others from 1 to 2: 4 - 1.

    >>> weeks = pd.date_range("2025-01-06", periods=10, freq="7D")
    >>> after = {"A": 4.0, "B": 6.0, "C": 2.0, "D": 2.0}
    >>> panel = pd.DataFrame([{"site": s, "period": w, "n": 100, "mean": 1.0 if i < 8 else m}
    ...                       for s, m in after.items() for i, w in enumerate(weeks)])
    >>> found = difference(panel, treated=["A", "B"], change_on="2025-03-03", confidence=0.95,
    ...                    rng=np.random.default_rng(1))
    >>> round(found.estimate, 6), found.clusters, found.passed
    (3.0, 4, 'yes')
    """
    used = usable(checked(panel, treated), day_of(change_on))
    need_enough(used, fewest_with=1)
    with_change = used.loc[used["treated"], "site"].nunique()
    if with_change == 1:
        _need_others(used)
    back = coming_back(used, rng=rng) if picked_worst else None
    steps = {kind: _step(rows, move, confidence) for kind, (rows, move) in _moves(used).items()}
    step = _taken_off(used, back, confidence) if back else steps["did"]
    chance = other_choices(used, used["after"].astype(float), rng, PERMUTATIONS)
    words, passed = _checks(steps, step, chance, confidence)
    if contradicted(chance, confidence):
        step = replace(step, low=min(step.low, 0.0), high=max(step.high, 0.0))
    sites = used["site"].nunique()
    off = ", less what comes back by itself" if back else ""
    return Rung(
        design=DIFFERENCE,
        estimand=f"change at {counted(with_change, 'site')} with it, less that at"
        f" {sites - with_change} without{off}",
        **_numbers_of(step),
        assumes="without the change, both groups of sites would have moved alike",
        check=words,
        passed=passed,
    )


def _numbers_of(step: Fit) -> dict:
    return {
        "estimate": step.estimate,
        "low": step.low,
        "high": step.high,
        "n": step.n,
        "clusters": step.sites,
    }


def _need_others(used: pd.DataFrame) -> None:
    if used["site"].nunique() < 4:
        raise Refusal(
            "One site with the change and fewer than three without it: nothing shows how single"
            " sites differ by themselves.",
            "compare more sites.",
        )


def _step(rows: pd.DataFrame, move: pd.Series, confidence: float) -> Fit:
    """Difference in differences of this move: clustered, or of one site by the others' spread."""
    if len(rows.loc[rows["treated"], "site"].drop_duplicates()) > 1:
        return two_way(rows, move * rows["treated"], confidence=confidence)
    first = each_site(rows, move, confidence=confidence).iloc[0]
    sites = rows["site"].nunique()
    quantile = float(stats.t.ppf((1 + confidence) / 2, sites - 2))
    return Fit(
        float(first["estimate"]),
        float(first["low"]),
        float(first["high"]),
        float(first["high"] - first["low"]) / 2 / quantile,
        sites - 2.0,
        int(rows["n"].sum()),
        sites,
    )


def _checks(
    steps: dict[str, Fit], step: Fit, chance: Choices, confidence: float
) -> tuple[str, str]:
    """The placebos in time and in space, in words, and whether they were passed."""
    level = 1 - (1 - confidence) / 2
    false_date, slope = (at_level(steps[kind], level) for kind in ("false date", "slope"))
    tried = "all" if chance.all_choices else "a sample of"
    words = (
        f"a made-up date before the change gives {bare(*false_date)}, the drift between the groups"
        f" before it {bare(*slope)} a quarter ({level * 100:.4g}% intervals); a difference as large"
        f" comes up in {chance.as_large} of {tried} {chance.choices:,} choices of sites"
    )
    if contradicted(chance, confidence) and not step.low <= 0 <= step.high:
        words += ", so that the interval is drawn out to zero"
    failed = {
        "the made-up date": not holds_zero(*false_date),
        "the drift": not holds_zero(*slope),
    }
    if any(failed.values()):
        return f"{words} (failed: {together([name for name in failed if failed[name]])})", "no"
    own = at_level(step, level)
    tested = false_date[2] - false_date[1] <= TOO_WIDE * (own[2] - own[1]) + 1e-12
    return words, "yes" if tested else "cannot say"


def at_level(fit: Fit, confidence: float) -> tuple[float, float, float]:
    """The estimate with its interval at another level."""
    half = float(stats.t.ppf((1 + confidence) / 2, fit.degrees_of_freedom)) * fit.standard_error
    return fit.estimate, fit.estimate - half, fit.estimate + half


def holds_zero(estimate: float, low: float, high: float) -> bool:
    """Whether an interval holds zero, rounding of the machine allowed for.

    Examples
    --------
    >>> holds_zero(1.0, -0.1, 2.1), holds_zero(1.0, 0.5, 1.5), holds_zero(1e-17, 1e-17, 1e-17)
    (True, False, True)
    """
    return low <= 1e-12 and high >= -1e-12


def bare(estimate: float, low: float, high: float) -> str:
    """An estimate and its limits without a unit.

    Examples
    --------
    >>> bare(0.0123, -0.0101, 0.0347)
    '0.012 (-0.010 to 0.035)'
    """
    digits = digits_for(low, high)
    shown = (round(value, digits) + 0.0 for value in (estimate, low, high))
    return "{:,.{d}f} ({:,.{d}f} to {:,.{d}f})".format(*shown, d=digits)


# --- What comes back by itself --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ComingBack:
    """How much of a site's distance from the others was chance and comes back by itself.

    Attributes
    ----------
    share : float
        Of the distance in the weeks before, 0 to 1: one minus the reliability of a site's mean.
    low, high : float
        Its 95 % interval.
    error : float
        Its standard error.
    distance : Series, by site
        A site's mean in the weeks before, less the mean of all sites.
    distance_error : float
        Standard error of the mean of all sites, as that of all sites like them.
    """

    share: float
    low: float
    high: float
    error: float
    distance: pd.Series
    distance_error: float


def coming_back(used: pd.DataFrame, *, rng: np.random.Generator) -> ComingBack:
    """Learn from the weeks before how much of the differences between sites was chance.

    Parameters
    ----------
    used : DataFrame
        As `usable` gives it.
    rng : Generator

    Raises
    ------
    Refusal
        With fewer than five sites or twelve common weeks before the change, or where all sites
        had the same mean.

    Notes
    -----
    A site's mean over the weeks before is m + b + e: b lasts, e is chance.  The variance of e is
    that of a mean of as many weeks that wander as a first-order autoregression (restricted
    likelihood over all sites, what they share taken away); that of b + e is the spread s^2 of the
    k sites' means.  The share that comes back is (k - 3) / (k - 1) var(e) / s^2, at most 1: the
    shrinkage of James and Stein about the mean [1]_.  It holds however sites were picked by those
    means [2]_.  That sites differ about one common mean, and wobble alike, is assumed.

    References
    ----------
    .. [1] Efron, B., Morris, C. (1973). Stein's estimation rule and its competitors - an empirical
       Bayes approach. JASA 68, 117-130. doi:10.1080/01621459.1973.10481350
    .. [2] Barnett, A. G., van der Pols, J. C., Dobson, A. J. (2005). Regression to the mean: what
       it is and how to deal with it. International Journal of Epidemiology 34, 215-220.
       doi:10.1093/ije/dyh299

    Examples
    --------
    Sites differ by whole points and their weeks by a tenth: next to nothing is chance.

    >>> weeks = pd.date_range("2025-01-06", periods=20, freq="7D")
    >>> rng = np.random.default_rng(1)
    >>> used = pd.DataFrame([{"site": s, "period": w, "n": 100, "mean": i + rng.normal(0, 0.1),
    ...                       "after": False} for i, s in enumerate("ABCDE") for w in weeks])
    >>> coming_back(used, rng=rng).share < 0.001
    True
    """
    before = used[~used["after"]]
    weeks = weeks_of(before, fewest_sites=SITES_FOR_RETURN)
    totals = (before["mean"] * before["n"]).groupby(before["site"]).sum()
    base = totals / before.groupby("site")["n"].sum()
    spread, k = float(base.var(ddof=1)), len(base)
    if not spread > 0:
        raise Refusal("All sites had the same mean before the change.", "check the measure.")
    found = persistence(weeks.means, at=weeks.at, shared=True, draws=DRAWS, rng=rng)
    count = len(weeks.at)
    noise = found.variance * float(variance_of_mean(count, found.correlation))
    chance = rng.chisquare(k - 1, DRAWS) / (k - 1)
    drawn = found.variances * variance_of_mean(count, found.correlations) * chance / spread
    drawn = np.clip(drawn, 0, 1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return ComingBack(
        share=min(1.0, (k - 3) / (k - 1) * noise / spread),
        low=float(low),
        high=float(high),
        error=float(drawn.std()),
        distance=base - base.mean(),
        distance_error=float(np.sqrt(spread / k)),
    )


def less_what_comes_back(
    panel: pd.DataFrame,
    *,
    treated: list[str],
    change_on: str,
    confidence: float,
    rng: np.random.Generator,
) -> Rung:
    """Before and after at sites that were picked as the worst, less what comes back by itself.

    Parameters
    ----------
    panel, treated, change_on, confidence, rng
        As of `difference`; two sites or more with the change.

    Notes
    -----
    Each changed site's share of its distance (see `coming_back`) is given back before the
    step is fitted.  The error of that share and of the common mean is added to the clustered one.

    Examples
    --------
    Five sites whose means differ by much and whose weeks differ by little: hardly anything comes
    back.

    >>> weeks = pd.date_range("2025-01-06", periods=20, freq="7D")
    >>> rng = np.random.default_rng(1)
    >>> panel = pd.DataFrame([{"site": s, "period": w, "n": 100, "mean": i + rng.normal(0, 0.1)}
    ...                       for i, s in enumerate("ABCDE") for w in weeks])
    >>> found = less_what_comes_back(panel, treated=["A", "B"], change_on="2025-05-05",
    ...                              confidence=0.95, rng=rng)
    >>> abs(found.estimate) < 0.1, found.clusters
    (True, 2)
    """
    used = usable(checked(panel, treated), day_of(change_on))
    need_enough(used)
    back = coming_back(used, rng=rng)
    step = _taken_off(used[used["treated"]], back, confidence)
    away = float(back.distance[used.loc[used["treated"], "site"].unique()].mean())
    interval = f"{back.share:.0%} (95% interval {back.low:.0%} to {back.high:.0%})"
    return Rung(
        design=RETURNED,
        estimand="change at the sites with it, less what their distance from all sites before"
        " would have come back",
        **_numbers_of(step),
        assumes="sites were picked for their results in the weeks before; nothing else changed"
        " there when the change came",
        check=f"they were {digits_of(away)} from the mean of all sites before; {interval} of such a"
        " distance comes back by itself",
    )


def digits_of(value: float) -> str:
    """A number with three figures, for words.

    Examples
    --------
    >>> digits_of(-0.08213), digits_of(212.3)
    ('-0.0821', '212')
    """
    return f"{value:.3g}"


def _taken_off(used: pd.DataFrame, back: ComingBack, confidence: float) -> Fit:
    """The step with what comes back given back, the error of that share added.

    Whichever sites are there: those with the change alone (before and after), or all.
    """
    alone = bool(used["treated"].all())

    def fitted(share: float) -> Fit:
        given = used["mean"] + share * used["site"].map(back.distance) * used["after"]
        rows = used.assign(mean=given)
        if alone:
            return two_way(rows, rows["after"], confidence=confidence, weeks=False)
        return _step(rows, rows["after"].astype(float), confidence)

    step, whole = fitted(back.share), fitted(1.0).estimate - fitted(0.0).estimate
    error = np.hypot(step.standard_error, whole * back.error)
    error = float(np.hypot(error, back.share * back.distance_error * alone))
    half = float(stats.t.ppf((1 + confidence) / 2, step.degrees_of_freedom)) * error
    low, high = step.estimate - half, step.estimate + half
    return Fit(step.estimate, low, high, error, step.degrees_of_freedom, step.n, step.sites)
