"""Do two groups read the questionnaire alike?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import claim, look, measurement_model, scales
from sqm.checks import Refusal, need_columns, need_one_of, need_share
from sqm.finding import Finding, counted
from sqm.interval import spell, spell_p
from sqm.measurement_model import LEVELS, GroupFit
from sqm.scales import SOURCE

FEWEST = 100  # respondents of a group: below, solutions are often improper (Boomsma 1985)
RMSEA_CONFIDENCE = 0.9  # the custom for this one index
POOR = (0.90, 0.08)  # CFI below, RMSEA above: Bentler and Bonett 1980, Browne and Cudeck 1992


@dataclass(frozen=True)
class Rule:
    """How much worse a level may fit than the one before it.

    Attributes
    ----------
    cfi : float
        A fall of this or more speaks against the level.
    rmsea, srmr_metric, srmr_scalar : float
        A rise of this or more speaks against it too.
    both : bool
        Whether the CFI's fall counts only if the RMSEA or the SRMR rises as well.
    source : str
    """

    cfi: float
    rmsea: float
    srmr_metric: float
    srmr_scalar: float
    both: bool
    source: str

    def holds(self, level: str, cfi: float, rmsea: float, srmr: float) -> bool:
        """Whether these changes let the level stand."""
        most = self.srmr_metric if level == "metric" else self.srmr_scalar
        risen = rmsea >= self.rmsea or srmr >= most
        return not (cfi <= -self.cfi and (risen or not self.both))

    def words(self) -> str:
        """The rule, for a sentence."""
        words = f"a fall of the CFI by {self.cfi:.3f} or more"
        if self.both:
            words += (
                f" with a rise of the RMSEA by {self.rmsea:.3f} or of the SRMR by "
                f"{self.srmr_metric:.3f} (metric) or {self.srmr_scalar:.3f} (scalar)"
            )
        return f"{words} ({self.source})"


RULES = {
    "chen-2007": Rule(0.010, 0.015, 0.030, 0.010, True, "Chen 2007, doi:10.1080/10705510701301834"),
    "chen-2007-small": Rule(
        0.005,
        0.010,
        0.025,
        0.005,
        True,
        "Chen 2007 for up to 300 respondents, doi:10.1080/10705510701301834",
    ),
    "cheung-rensvold-2002": Rule(
        0.010,
        np.inf,
        np.inf,
        np.inf,
        False,
        "Cheung and Rensvold 2002, doi:10.1207/S15328007SEM0902_5",
    ),
}


@dataclass(frozen=True, eq=False)
class Invariance(Finding):
    """Up to which level groups read the questionnaire alike.

    Attributes
    ----------
    table : DataFrame, one row per level
        ``level``, ``configural``, ``metric``, ``scalar``; ``chi2``, ``df``, ``p_value``;
        ``chi2_difference``, ``df_difference``, ``p_difference``, against the level before;
        ``cfi``, ``cfi_change``; ``estimate``, ``low``, ``high``, the RMSEA with its 90 %
        interval; ``rmsea_change``; ``srmr``, ``srmr_change``; ``aic``, ``bic`` (smaller is
        better); ``holds``, it and every level before it; ``note``.
    group : str
        The column that makes the groups.
    groups : tuple of str
        The first is the reference.
    respondents : tuple of int
        Of each group, with every item answered.
    left_out : int
        Who left an item blank or belongs to no group.
    too_small : tuple of str
        Groups left out, with fewer than ``fewest`` respondents.
    fewest : int
    highest : str
        The highest level that holds, or empty.
    rule : str
        A key of `RULES`.
    """

    group: str
    groups: tuple[str, ...]
    respondents: tuple[int, ...]
    left_out: int
    too_small: tuple[str, ...]
    fewest: int
    highest: str
    rule: str

    def sentence(self) -> str:
        parts = [self._levels(), self._poor(), self._rule(), self._who(), self._notes()]
        return self._answer() + "\n" + " ".join(part for part in parts if part)

    def _answer(self) -> str:
        who = f"{counted(len(self.groups), 'group')} by {self.group}"
        what = {
            "scalar": f"The {who} read the questionnaire alike: their means may be compared",
            "metric": f"The {who} weigh the items alike but do not answer from the same zero: "
            "compare relations, not means",
            "configural": f"The {who} share the dimensions but weigh the items differently: "
            "compare neither means nor relations",
            "": f"The {who} cannot be compared: the claimed dimensions have no admissible solution",
        }[self.highest]
        row = self.table.set_index("level").loc[self.highest or "configural"]
        if not np.isfinite(row["estimate"]):
            return f"{what}."
        rmsea = spell(
            row["estimate"], row["low"], row["high"], confidence=RMSEA_CONFIDENCE, digits=3
        )
        return f"{what} ({self.highest or 'configural'} model: RMSEA {rmsea})."

    def _levels(self) -> str:
        words = []
        for row in self.table.itertuples():
            if not np.isfinite(row.cfi_change):
                continue
            words.append(
                f"{row.level}: CFI {row.cfi_change:+.3f}, RMSEA {row.rmsea_change:+.3f}, SRMR "
                f"{row.srmr_change:+.3f}, chi-square up {row.chi2_difference:,.1f} for "
                f"{counted(int(row.df_difference), 'parameter')} fewer "
                f"({spell_p(row.p_difference)})"
            )
        return f"Against the level before: {'; '.join(words)}." if words else ""

    def _poor(self) -> str:
        row = self.table.iloc[0]
        if not np.isfinite(row["cfi"]) or (row["cfi"] >= POOR[0] and row["estimate"] <= POOR[1]):
            return ""
        return (
            f"The model itself fits poorly in the groups (CFI {row['cfi']:.3f}, RMSEA "
            f"{row['estimate']:.3f}; CFI below {POOR[0]} or RMSEA above {POOR[1]}: Bentler and "
            "Bonett 1980, Browne and Cudeck 1992), so alike means alike in a poor model."
        )

    def _rule(self) -> str:
        return (
            f"A level falls by {RULES[self.rule].words()}: a convention, not a test. RMSEA "
            "intervals are approximate."
        )

    def _who(self) -> str:
        each = ", ".join(
            f"{name} ({n:,})" for name, n in zip(self.groups, self.respondents, strict=True)
        )
        words = f"Respondents with every item answered: {each}; {self.left_out:,} left out."
        if self.too_small:
            words += f" Fewer than {self.fewest}, not compared: {', '.join(self.too_small)}."
        return f"{words} Maximum likelihood for normal answers."

    def _notes(self) -> str:
        rows = self.table[self.table["note"] != ""]
        return " ".join(f"{row.level}: {row.note}." for row in rows.itertuples())

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        meaning = ["better" if holds else "worse" for holds in self.table["holds"]]
        names = [f"{row.level} (CFI {row.cfi:.3f})" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names, meaning=meaning)
        return look.label(
            ax,
            title="Do the groups read the questionnaire alike?",
            x="RMSEA, 90 % interval (smaller is better; downward: the level does not hold)",
        )


@dataclass(frozen=True, eq=False)
class MeanDifferences(Finding):
    """How far groups differ on the dimensions behind the items.

    Attributes
    ----------
    table : DataFrame, one row per dimension and group but the reference
        ``dimension``; ``group``; ``respondents``; ``estimate``, ``low``, ``high``, the mean of
        the dimension against the reference group's, in that group's standard deviations;
        ``note``.
    group : str
        The column that makes the groups.
    reference : str
    respondents : int
        Of all groups compared.
    left_out : int
    too_small : tuple of str
        Groups not compared, with too few respondents.
    confidence : float
    rule : str
        A key of `RULES`, by which the groups read the questionnaire alike.
    """

    group: str
    reference: str
    respondents: int
    left_out: int
    too_small: tuple[str, ...]
    confidence: float
    rule: str

    def sentence(self) -> str:
        largest = self.table.loc[self.table["estimate"].abs().idxmax()]
        apart = self.table[(self.table["low"] > 0) | (self.table["high"] < 0)]
        found = spell(
            largest["estimate"], largest["low"], largest["high"], confidence=self.confidence
        )
        words = (
            f"The groups by {self.group} differ most on {largest['dimension']}: "
            f"{largest['group']} against {self.reference} by {found} standard deviations.\n"
        )
        words += (
            f"{len(apart)} of {counted(len(self.table), 'difference')} have an interval that "
            "leaves out 0 (each on its own; none is corrected for their number). These are "
            "means of the dimensions behind the items, in standard deviations of "
            f"{self.reference}, from the model with equal loadings and intercepts, which these "
            f"groups bear by {RULES[self.rule].source}. {self.respondents:,} respondents with "
            f"every item answered; {self.left_out:,} left out. Intervals assume normal answers."
        )
        if self.too_small:
            words += f" Too few respondents, not compared: {', '.join(self.too_small)}."
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        meaning = [
            "better" if row.low > 0 else "worse" if row.high < 0 else "usual"
            for row in self.table.itertuples()
        ]
        names = [f"{row.dimension} · {row.group}" for row in self.table.itertuples()]
        look.dots(ax, self.table, names=names, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"])
        return look.label(
            ax,
            title="How far do the groups differ on the dimensions?",
            x=f"difference from {look.shorten(self.reference)} (its standard deviations)",
        )


# --- Questions ------------------------------------------------------------------------------------


def invariance(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    group: str,
    reference: str = "",
    rule: str = "chen-2007",
    fewest: int = FEWEST,
) -> Invariance:
    """Ask up to which level groups (or waves) read the questionnaire alike.

    Parameters
    ----------
    answers : DataFrame, one row per respondent
        Items worded in reverse already turned round.
    dimensions : dict of str to list of str
        The items of each dimension.
    group : str
        The column that makes the groups: ``wave``, ``site``, ``language``.
    reference : str
        The group the others are set against; the first in order of name if empty.
    rule : str, default "chen-2007"
        A key of `RULES`.
    fewest : int, default 100
        Respondents below which a group is not compared: solutions of small samples are often
        improper [3]_.  A group needs more than the model has parameters, too.

    Returns
    -------
    Invariance
        The levels from one that has no solution on have NaN and a note.

    Raises
    ------
    Problem
        If an item or the column of groups is missing, or there is no such reference.
    Refusal
        If fewer than two groups have enough respondents, an item never varies in a group, or
        the model has more parameters than the items have moments.

    Notes
    -----
    Confirmatory factor analysis of all groups at once, with means [1]_.  Configural: nothing
    equal; metric: loadings; scalar: loadings and intercepts.  Each level's chi-square less that
    of the level before is chi-square distributed if the level holds; with many respondents it
    rejects what does not matter, so the changes of the indices decide, by the rule [2]_.

    References
    ----------
    .. [1] Jöreskog, K. G. (1971). Psychometrika 36, 409-426. doi:10.1007/BF02291366
    .. [2] Chen, F. F. (2007). Structural Equation Modeling 14, 464-504.
       doi:10.1080/10705510701301834
    .. [3] Boomsma, A. (1985). Psychometrika 50, 229-242. doi:10.1007/BF02294248

    Examples
    --------
    The same rows twice: alike at every level, and no chi-square is added.

    >>> rng = np.random.default_rng(1)
    >>> rows = rng.normal(size=(150, 4)) + rng.normal(size=(150, 1))
    >>> answers = pd.DataFrame(np.vstack([rows, rows]), columns=list("abcd"))
    >>> answers["wave"] = ["first"] * 150 + ["second"] * 150
    >>> found = invariance(answers, dimensions={"courtesy": list("abcd")}, group="wave")
    >>> found.highest, float(abs(found.table["chi2_difference"][2].round(6)))
    ('scalar', 0.0)
    """
    need_one_of(rule, RULES, name="rule")
    split = _split(answers, dimensions, group, reference, fewest)
    table = _ladder([_tried(split, level) for level in LEVELS], RULES[rule])
    held = table.loc[table["holds"], "level"]
    return Invariance(
        table=table,
        group=group,
        groups=tuple(split.names),
        respondents=tuple(each.respondents for each in split.samples),
        left_out=split.left_out,
        too_small=split.too_small,
        fewest=fewest,
        highest=str(held.iloc[-1]) if len(held) else "",
        rule=rule,
    )


def mean_differences(
    answers: pd.DataFrame,
    *,
    dimensions: dict[str, list[str]],
    group: str,
    reference: str = "",
    confidence: float = 0.95,
    rule: str = "chen-2007",
    fewest: int = FEWEST,
) -> MeanDifferences:
    """Estimate how far groups differ on the dimensions, if they read the questionnaire alike.

    Parameters
    ----------
    answers, dimensions, group, reference, rule, fewest
        As in `invariance`.
    confidence : float, default 0.95

    Returns
    -------
    MeanDifferences

    Raises
    ------
    Problem
        As in `invariance`.
    Refusal
        As in `invariance`; and if the scalar level does not hold, for then a difference of means
        may be one of reading.

    Notes
    -----
    The means of the factors in the model with equal loadings and intercepts; the reference's
    factors have mean 0 and variance 1 [1]_.  Interval: estimate and normal quantile times the
    standard error from the expected information.

    References
    ----------
    .. [1] Sörbom, D. (1974). A general method for studying differences in factor means and
       factor structure between groups. British Journal of Mathematical and Statistical
       Psychology 27, 229-239. doi:10.1111/j.2044-8317.1974.tb00543.x

    Examples
    --------
    The second wave's answers are the first's, one higher on every item: the factor's standard
    deviation is about 1, and so is the difference.

    >>> rng = np.random.default_rng(1)
    >>> rows = rng.normal(size=(150, 4)) + rng.normal(size=(150, 1))
    >>> answers = pd.DataFrame(np.vstack([rows, rows + 1]), columns=list("abcd"))
    >>> answers["wave"] = ["first"] * 150 + ["second"] * 150
    >>> found = mean_differences(answers, dimensions={"courtesy": list("abcd")}, group="wave")
    >>> bool(0.8 < found.table["estimate"][0] < 1.3)
    True
    """
    need_share(confidence, name="confidence")
    found = invariance(
        answers, dimensions=dimensions, group=group, reference=reference, rule=rule, fewest=fewest
    )
    if found.highest != "scalar":
        raise Refusal(
            f"The groups by {group} do not read the questionnaire alike (highest level that "
            f"holds: {found.highest or 'none'}), so their means cannot be compared.",
            "find the item that is read differently, and compare without it.",
        )
    split = _split(answers, dimensions, group, reference, fewest)
    return MeanDifferences(
        table=_mean_rows(split, list(dimensions), confidence),
        group=group,
        reference=split.names[0],
        respondents=sum(found.respondents),
        left_out=found.left_out,
        too_small=found.too_small,
        confidence=confidence,
        rule=rule,
    )


# --- The groups -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Split:
    """The groups that are compared, the reference first."""

    names: list[str]
    samples: list[measurement_model.Sample]
    places: list[list[int]]  # of the items of each dimension
    left_out: int
    too_small: tuple[str, ...]


def _split(
    answers: pd.DataFrame, dimensions: dict, group: str, reference: str, fewest: int
) -> _Split:
    scales.need_scales(answers, dimensions, 0.95)
    need_columns(answers, [group], source=SOURCE)
    items, places = claim.layout(dimensions)
    whole = answers[items].notna().all(axis=1) & answers[group].notna()
    labels = answers.loc[whole, group].astype(str)
    sizes = labels.value_counts()
    least = max(fewest, measurement_model.parameters(places) + len(items) + 1)  # with means
    enough = sorted(sizes.index[sizes >= least])
    small = tuple(sorted(set(answers[group].dropna().astype(str)) - set(enough)))
    names = _in_order(enough, small, reference, least)
    values = answers.loc[whole, items].to_numpy(dtype=float)
    rows = {name: values[(labels == name).to_numpy()] for name in names}
    for name, part in rows.items():
        _need_moving(part, items, name)
    return _Split(
        names=names,
        samples=[measurement_model.sample(part) for part in rows.values()],
        places=places,
        left_out=int((~whole).sum()),
        too_small=small,
    )


def _in_order(enough: list[str], small: tuple[str, ...], reference: str, least: int) -> list[str]:
    """The reference first, the others by name."""
    if reference and reference in small:
        raise Refusal(
            f"The reference {reference!r} has fewer than {least} respondents with every item "
            "answered.",
            "take another reference, or collect more.",
        )
    if len(enough) < 2:
        raise Refusal(
            f"{counted(len(enough), 'group')} with {least} respondents or more who answered every "
            f"item, where two are needed (too small: {', '.join(small[:8]) or 'none'}).",
            "merge groups that belong together, or collect more.",
        )
    if reference:
        need_one_of(reference, enough, name="reference")
        return [reference, *[name for name in enough if name != reference]]
    return enough


def _need_moving(values: np.ndarray, items: list[str], name: str) -> None:
    flat = scales.never_vary(values, items)
    if flat:
        raise Refusal(
            f"In the group {name!r} everyone gave the same answer to {', '.join(flat)}.",
            "leave the item out of the dimensions, or the group out of the comparison.",
        )


# --- The levels -----------------------------------------------------------------------------------


def _tried(split: _Split, level: str) -> GroupFit | None:
    """The model of one level, or None if it has no solution."""
    found = measurement_model.fit_groups(split.samples, groups=split.places, level=level)
    return found if found.converged else None


def _ladder(fits: list[GroupFit | None], rule: Rule) -> pd.DataFrame:
    """One row a level, each compared with the one before it."""
    rows, before, held = [], None, True
    for level, found in zip(LEVELS, fits, strict=True):
        row = {"level": level, **_indices(found), **_changes(found, before)}
        changes = row["cfi_change"], row["rmsea_change"], row["srmr_change"]
        ok = found is not None and (level == "configural" or rule.holds(level, *changes))
        held = held and ok and found.admissible
        note = "" if found is None or found.admissible else "the solution is not admissible"
        rows.append({**row, "holds": held, "note": note if found else "the model has no solution"})
        before = found
    return pd.DataFrame(rows)


def _indices(found: GroupFit | None) -> dict:
    names = ["chi2", "df", "p_value", "cfi", "rmsea", "srmr", "aic", "bic"]
    about = {name: getattr(found, name, np.nan) for name in names}
    about["estimate"] = about.pop("rmsea")
    both = found.rmsea_interval(confidence=RMSEA_CONFIDENCE) if found else (np.nan, np.nan)
    return {**about, "low": both[0], "high": both[1]}


def _changes(found: GroupFit | None, before: GroupFit | None) -> dict:
    names = ["chi2_difference", "df_difference", "p_difference"]
    names += ["cfi_change", "rmsea_change", "srmr_change"]
    if found is None or before is None:
        return dict.fromkeys(names, np.nan)
    chi2, df = max(found.chi2 - before.chi2, 0.0), found.df - before.df
    rmsea = found.rmsea - (before.rmsea if before.df else 0.0)  # nothing to fit, nothing misfits
    changes = found.cfi - before.cfi, rmsea, found.srmr - before.srmr
    return dict(zip(names, [chi2, df, float(stats.chi2.sf(chi2, df)), *changes], strict=True))


def _mean_rows(split: _Split, dimensions: list[str], confidence: float) -> pd.DataFrame:
    found = measurement_model.fit_groups(split.samples, groups=split.places, level="scalar")
    half = stats.norm.ppf((1 + confidence) / 2) * found.mean_errors
    rows = []
    for factor, dimension in enumerate(dimensions):
        for g, name in enumerate(split.names[1:], start=1):
            estimate = float(found.factor_means[g, factor])
            rows.append(
                {
                    "dimension": dimension,
                    "group": name,
                    "respondents": split.samples[g].respondents,
                    "estimate": estimate,
                    "low": estimate - float(half[g, factor]),
                    "high": estimate + float(half[g, factor]),
                    "note": "",
                }
            )
    return pd.DataFrame(rows)
