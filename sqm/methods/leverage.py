"""What would a change of each driver bring, CTQ by CTQ and theme by theme?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy import stats
from scipy.special import expit

from sqm import interval, look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_share
from sqm.finding import Finding, counted, listed, together
from sqm.predicate import defects
from sqm.regression import (
    EVENTS_PER_COEFFICIENT,
    LEAKS_ABOVE,
    MOST_LEVELS,
    Fit,
    area,
    design_of,
    fit_logistic,
    groups_of,
    is_number,
    known_to,
    true_or_false,
)

A_FIFTH = 0.2  # of a category's worst level, moved to the reference where nothing else is said
ALL, REST, NO_THEME = "all complaints", "other themes", "no theme recorded"
CTQ, THEME, COMPLAINTS = "ctq", "theme", "complaints"
MODEL, DEFINITION = "model", "by definition"
TARGET = "_target"  # the column that a model explains
NUMBERS = ("estimate", "low", "high", "share_of_gap", "share_of_gap_low", "share_of_gap_high")


@dataclass(frozen=True, eq=False)
class Leverage(Finding):
    """The matrix driver by CTQ and theme: what goes with a change of each driver.

    Attributes
    ----------
    table : DataFrame, one row per target and driver
        ``driver``, its column; ``change``, in words; ``target_kind`` ("ctq", "complaints" for
        all of them, "theme"); ``name`` of the target; ``estimate``, ``low``, ``high``, the
        change of defects (complaints) per 100 contacts, below 0 for fewer; ``unit``;
        ``today_per_100``, their number now; ``share_of_gap``, ``share_of_gap_low``,
        ``share_of_gap_high``, the part of a CTQ's gap to its target that the change closes
        (1: all of it; NaN where the target may be met already); ``clear``, whether the interval
        excludes 0; ``contacts`` and ``events``, what the row rests on; ``how``, "model" or "by
        definition"; ``note``.
    drivers, ctqs, themes, passed_over : tuple of str
        Drivers changed; CTQs and themes examined; CTQs of another table.
    contacts, complained : int
        Contacts given, and those with a complaint.
    cells, clear : int
        Lifts that could be given by a model, and those of them that are clear of 0.
    themes_together, all_together : float
        Of the driver with the largest lift: the sum over themes, and the lift of all complaints,
        per 100 contacts; NaN where a theme could not be given.
    fixed, cluster, order : str, str, tuple of str
        The settings.
    confidence : float
    """

    drivers: tuple[str, ...]
    ctqs: tuple[str, ...]
    themes: tuple[str, ...]
    passed_over: tuple[str, ...]
    contacts: int
    complained: int
    cells: int
    clear: int
    themes_together: float
    all_together: float
    fixed: str
    cluster: str
    order: tuple[str, ...]
    confidence: float

    def sentence(self) -> str:
        rest = [
            self._gap(),
            self._sum(),
            self._basis(),
            self._defined(),
            self._chance(),
            self._untold(),
            "These are associations with the other drivers held still, not proof: Improve simulates"
            " a change, Control proves it.",
        ]
        return f"{self._first()}\n{' '.join(filter(None, rest))}"

    def _first(self) -> str:
        """The largest clear lift on complaints, or on the first CTQ that has one."""
        known = self.table[self.table["clear"] & (self.table["how"] == MODEL)]
        for name in [ALL, *self.ctqs]:
            here = known[known["name"] == name]
            if len(here):
                best = here.loc[here["estimate"].abs().idxmax()]
                return f"{best['change']}: {self._lift(best)}{self._beside(best)}."
        return (
            f"No change of {together(self.drivers)} goes clearly with fewer or more defects or "
            f"complaints ({counted(self.cells, 'lift')}, {self.confidence * 100:.4g}% intervals)."
        )

    def _beside(self, best: pd.Series) -> str:
        """How the largest lift stands beside those of the other changes."""
        same = self.table[self.table["name"].eq(best["name"]) & self.table["how"].eq(MODEL)]
        others = same[same["driver"].ne(best["driver"])].dropna(subset="estimate")
        if others.empty:
            return ""
        least = min(abs(best["low"]), abs(best["high"]))
        most = others[["low", "high"]].abs().max(axis=1)
        surely = "surely " if (most < least).all() else ""
        return (
            f", {surely}the largest of {len(others) + 1} changes tried, which differ in size: "
            "no ranking of drivers"
        )

    def _lift(self, row) -> str:
        """More or fewer, both told by a number above zero."""
        fewer = row["estimate"] < 0
        limits = [row["estimate"], row["low"], row["high"]]
        limits = [-limits[0], -limits[2], -limits[1]] if fewer else limits
        digits = interval.digits_for(limits[1], limits[2])
        spelt = interval.spell(*limits, confidence=self.confidence, digits=digits)
        of = "" if row["name"] == ALL else f" of {look.shorten(row['name'], width=40)!r}"
        what = "complaints" if row["name"] == ALL else f"defects{of}"
        return f"goes with {spelt} {'fewer' if fewer else 'more'} {what} per 100 contacts"

    def _gap(self) -> str:
        closing = self.table[self.table["share_of_gap_low"] > 0]
        if closing.empty:
            return ""
        best = closing.loc[closing["share_of_gap"].idxmax()]
        values = (100 * best[c] for c in ("share_of_gap", "share_of_gap_low", "share_of_gap_high"))
        spelt = interval.spell(*values, confidence=self.confidence, digits=0, unit="%")
        return (
            f"The largest part of a gap to its target goes with {best['change']!r}, for "
            f"{best['name']!r}: {spelt} of that gap."
        )

    def _sum(self) -> str:
        if np.isnan(self.themes_together):
            return ""
        return (
            f"Summed over themes, {self._largest()!r} brings {self.themes_together:+.3f} "
            f"complaints per 100 contacts, for all at once {self.all_together:+.3f}."
        )

    def _largest(self) -> str:
        """The change with the largest lift of all complaints, in words."""
        whole = self.table[self.table["target_kind"].eq(COMPLAINTS)].dropna(subset="estimate")
        return whole.loc[whole["estimate"].abs().idxmax(), "change"]

    def _basis(self) -> str:
        fixed = f", every {self.fixed} with its own level" if self.fixed else ""
        alike = (
            f"contacts of one {self.cluster} may be alike"
            if self.cluster
            else "each contact counts as independent"
        )
        return (
            f"{self.contacts:,} contacts, {self.complained:,} with a complaint (of several on one "
            f"contact the first counts); one logistic model a target{fixed}; {alike}."
        )

    def _defined(self) -> str:
        some = self.table[self.table["how"] == DEFINITION]
        words = (
            "Where a driver decides a CTQ's measure, the change is counted, not modelled "
            f"({listed(sorted(set(some['name'])), most=4)})."
            if len(some)
            else ""
        )
        if not self.order and len(self.ctqs):
            words += (
                " No order of events was given: a driver that is settled only after a measure may "
                "look as if it moved it."
            )
        return words.strip()

    def _chance(self) -> str:
        expected = (1 - self.confidence) * self.cells
        return (
            f"{self.clear} of {counted(self.cells, 'modelled lift')} are clear of 0; of as many "
            f"without any effect about {expected:.2g} would be."
        )

    def _untold(self) -> str:
        words = []
        silent = self.table[self.table["estimate"].isna()]
        if len(silent):
            names = list(dict.fromkeys(f"{r.name_} ({r.note})" for r in _named(silent)))
            words.append(f"Not given: {listed(names, most=3, apart='; ')}.")
        if self.passed_over:
            words.append(f"Of another table, so not asked: {listed(self.passed_over, most=4)}.")
        return " ".join(words)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the matrix: shades by row, numbers in every cell, a mark where 0 is excluded."""
        ax = look.axes(ax)
        targets = list(dict.fromkeys(self.table["name"]))
        for y, name in enumerate(targets):
            here = self.table[self.table["name"] == name].set_index("driver")
            most = here["estimate"].abs().max()
            for x, driver in enumerate(self.drivers):
                _draw_cell(ax, x, y, here.loc[driver], most)
        heads = [look.shorten(each, width=22) for each in self.drivers]
        ax.set_xticks(range(len(heads)), heads)
        ax.set_yticks(range(len(targets)), [look.shorten(name, width=30) for name in targets])
        ax.set(xlim=(-0.5, len(heads) - 0.5), ylim=(len(targets) - 0.5, -0.5))
        width, height = ax.figure.get_size_inches()
        ax.figure.set_size_inches(width, max(height, 0.42 * len(targets) + 1.2))
        ax.tick_params(length=0)
        words = f"{self.confidence * 100:.4g}% interval"
        return look.label(
            ax,
            title="What would a change of each driver bring?",
            x=f"change per 100 contacts ({words}); triangle: the interval excludes 0, "
            "up for better, down for worse",
        )


def _named(rows: pd.DataFrame):
    return rows.rename(columns={"name": "name_"}).itertuples()


def _draw_cell(ax: Axes, x: int, y: int, row: pd.Series, most: float) -> None:
    known = np.isfinite(row["estimate"])
    depth = 0.5 - 0.5 * row["estimate"] / most if known and most > 0 else 0.5
    colour = look.WORSE_TO_BETTER(depth) if known else "white"
    ax.add_patch(Rectangle((x - 0.49, y - 0.48), 0.98, 0.96, facecolor=colour))
    if not known:
        ax.text(x, y, "not given", ha="center", va="center", size=7, color=look.MEANING["usual"])
        return
    digits = interval.digits_for(row["low"], row["high"])
    limits = f"{row['low']:+.{digits}f} to {row['high']:+.{digits}f}"
    ax.text(x, y, f"{row['estimate']:+.{digits}f}\n({limits})", ha="center", va="center", size=7)
    if row["clear"]:
        what = "better" if row["estimate"] < 0 else "worse"
        ax.plot(x - 0.42, y, marker=look.MARKER[what], color=look.MEANING[what], ms=7, ls="")


def leverage(
    contacts: pd.DataFrame,
    complaints: pd.DataFrame,
    *,
    drivers: Sequence[str],
    ctqs: Sequence[Mapping] = (),
    changes: Mapping[str, float | Mapping | None] | None = None,
    theme: str = "category",
    contact: str = "contact",
    table: str = "operations",
    fixed: str = "site",
    cluster: str = "agent",
    per: Mapping[str, float] | None = None,
    reference: Mapping[str, str] | None = None,
    order: Sequence[str] = (),
    confidence: float = 0.95,
) -> Leverage:
    """Work out what goes with a change of each driver, for each CTQ and each theme.

    Parameters
    ----------
    contacts : DataFrame, one row per contact
        With the drivers, the measures of the CTQs, ``contact``, ``fixed`` and ``cluster``.
    complaints : DataFrame, one row per complaint
        With ``contact``, the contact it arose from, and ``theme``.
    drivers : sequence of str
        Columns of ``contacts`` that stand in every model.
    ctqs : sequence of mappings
        With ``name``, ``table``, ``measure``, ``direction``, ``limit`` and ``target`` (tolerated
        share of defects, 0 to 1); those of another table than ``table`` are passed over.
    changes : mapping of driver to change, optional
        A number is added to each value, never past the least or the greatest value seen: -60
        makes each wait up to 60 s shorter.  ``{"from": "unresolved", "to": "resolved", "share":
        0.2}`` moves that share of a category's level.  None: the driver is held still only.  A
        driver that is not named has one ``per`` less, or a fifth of the level with most
        complaints moved to the reference.
    theme : str, default "category"
        Column of ``complaints``: its theme, or category; empty, or not there, for none.
    contact, table : str
        Column that joins the tables; what the CTQs call this table.
    fixed, cluster, per, reference
        As in `sqm.regression.fit_logistic`.
    order : sequence of str, optional
        Drivers and measures in the order in which they are settled, the earliest first.  A driver
        that comes after a CTQ's measure is left out of its model.  What is not named is settled
        before all that are.
    confidence : float, default 0.95

    Returns
    -------
    Leverage
        A target whose data cannot bear the question has NaN and a note; a theme with too few
        complaints is joined with others of that kind as "other themes".

    Raises
    ------
    Problem
        If a setting is out of range, or a change names what is not there.
    Refusal
        If a column is missing, or no target can be given at all.

    Notes
    -----
    With p_i(b) the chance of target t by a logistic model and x'_i the drivers after the change,
    the lift is 100 mean_i [p(x'_i b) - p(x_i b)]; where a share s of a level moves, s times that
    over the contacts at the level.  The standard error is the sandwich over clusters of each
    contact's influence, h_i - mean h + D A^-1 x_i (y_i - p_i), with D the derivative of the lift
    by b and A the information: it allows for other contacts as well as for other coefficients.
    Intervals use Student's t with G - 1 degrees of freedom, G the clusters [1]_.  A share of the
    gap (rate - target) has Fieller's interval [2]_, and is given where the gap itself is clear
    of 0.  A CTQ whose measure is the driver, or whose defect each level of the driver decides,
    is counted, not modelled.

    References
    ----------
    .. [1] Cameron, A. C., Miller, D. L. (2015). Journal of Human Resources 50, 317-372.
       doi:10.3368/jhr.50.2.317
    .. [2] Fieller, E. C. (1954). Journal of the Royal Statistical Society B 16, 175-185.
       doi:10.1111/j.2517-6161.1954.tb00159.x

    Examples
    --------
    30 of 100 unresolved and 20 of 200 resolved contacts complain.  Were a fifth of the
    unresolved resolved, 20 contacts would complain at 10 % and not at 30 %: 4 of 300 fewer.

    >>> contacts = pd.DataFrame({"contact": [f"K{i}" for i in range(300)],
    ...                          "ending": ["resolved"] * 200 + ["unresolved"] * 100})
    >>> complaints = pd.DataFrame({"contact": [*contacts["contact"][:20],
    ...                                        *contacts["contact"][200:230]]})
    >>> found = leverage(contacts, complaints, drivers=["ending"], theme="", fixed="", cluster="")
    >>> found.table[["name", "estimate"]].round(4).values.tolist()
    [['all complaints', -1.3333]]
    """
    drivers, changes = list(drivers), dict(changes or {})
    _need_settings(contacts, drivers, changes, ctqs, order, confidence)
    asked = [each for each in ctqs if each["table"] == table]
    first = _first_complaint(contacts, complaints, contact, theme)
    model = _Model(drivers, fixed, cluster, dict(per or {}), dict(reference or {}), confidence)
    moves = _moves(contacts, model, changes, first.notna())
    rows = [row for each in asked for row in _ctq_rows(contacts, each, model, moves, list(order))]
    if first.notna().any():
        rows += _complaint_rows(contacts, first, model, moves, bool(theme) and theme in complaints)
    lifts = pd.DataFrame(rows)
    if lifts.empty or lifts["estimate"].isna().all():
        said = rows[0]["note"] if rows else "no CTQ of this table and no complaint is given"
        raise Refusal(f"No lift can be given: {said}.", "take a longer period or fewer drivers.")
    return _leverage(lifts, contacts, first, asked, ctqs, model, order)


def _leverage(lifts, contacts, first, asked, ctqs, model, order) -> Leverage:
    limits = (lifts["low"] > 0) | (lifts["high"] < 0)
    at = lifts.columns.get_loc("contacts")
    lifts.insert(at, "clear", limits)
    modelled = lifts["how"].eq(MODEL) & lifts["low"].notna()
    summed, whole = _summed(lifts)
    return Leverage(
        table=lifts,
        drivers=tuple(dict.fromkeys(lifts["driver"])),
        ctqs=tuple(each["name"] for each in asked),
        themes=tuple(dict.fromkeys(lifts.loc[lifts["target_kind"] == THEME, "name"])),
        passed_over=tuple(each["name"] for each in ctqs if each not in asked),
        contacts=len(contacts),
        complained=int(first.notna().sum()),
        cells=int(modelled.sum()),
        clear=int((modelled & limits).sum()),
        themes_together=summed,
        all_together=whole,
        fixed=model.fixed,
        cluster=model.cluster,
        order=tuple(order),
        confidence=model.confidence,
    )


def _summed(lifts: pd.DataFrame) -> tuple[float, float]:
    """Of the driver that moves all complaints most: the sum over themes, and the whole."""
    whole = lifts[lifts["target_kind"].eq(COMPLAINTS) & lifts["estimate"].notna()]
    if whole.empty:
        return np.nan, np.nan
    best = whole.loc[whole["estimate"].abs().idxmax()]
    here = lifts[lifts["target_kind"].eq(THEME) & lifts["driver"].eq(best["driver"])]
    total = here["estimate"].sum(skipna=False) if len(here) else np.nan
    return float(total), float(best["estimate"])


# --- At the door ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Model:
    drivers: list[str]
    fixed: str
    cluster: str
    per: dict[str, float]
    reference: dict[str, str]
    confidence: float


@dataclass(frozen=True)
class _Move:
    """What happens to one driver: a number is added, or a share of a level moves."""

    driver: str
    words: str
    add: float = 0.0
    least: float = 0.0
    most: float = 0.0
    leave: str = ""
    enter: str = ""
    share: float = 0.0

    def applied(self, contacts: pd.DataFrame) -> pd.DataFrame:
        """The contacts after the change; of a level, all of it."""
        now = contacts[self.driver]
        if not self.leave:
            after = now.astype("Float64").astype(float) + self.add
            return contacts.assign(**{self.driver: after.clip(self.least, self.most)})
        text = now.astype("str")
        return contacts.assign(**{self.driver: text.mask(text.eq(self.leave), self.enter)})

    def weight(self, contacts: pd.DataFrame) -> np.ndarray:
        """The part of each contact that the change reaches."""
        if not self.leave:
            return np.ones(len(contacts))
        return self.share * contacts[self.driver].astype("str").eq(self.leave).to_numpy(dtype=float)


def _need_settings(contacts, drivers, changes, ctqs, order, confidence) -> None:
    need_share(confidence, name="confidence")
    if not drivers:
        raise Problem("No list of drivers is given.", "name one column or more under `drivers`.")
    need_columns(contacts, drivers, source="contacts")
    for driver in changes:
        if driver not in drivers:
            raise Problem(f"`changes` names {driver!r}, no driver.", nearest(driver, drivers))
    for each in ctqs:
        lacking = {"name", "table", "measure", "direction", "limit", "target"} - set(each)
        if lacking:
            raise Problem(
                f"CTQ {each.get('name', '?')!r} lacks {', '.join(sorted(lacking))}.",
                "give it under define.ctqs.",
            )
    if len(set(order)) < len(list(order)):
        raise Problem("`order` names a column twice.", "name each once, the earliest first.")


def _first_complaint(contacts, complaints, contact: str, theme: str) -> pd.Series:
    """The theme of each contact's first complaint; missing where it has none."""
    need_columns(contacts, [contact], source="contacts")
    need_columns(complaints, [contact], source="complaints")
    if contacts[contact].dropna().duplicated().any():
        raise Problem("contacts: a contact stands in two rows.", "keep one row a contact.")
    first = complaints.dropna(subset=[contact]).drop_duplicates(contact).set_index(contact)
    if theme and theme in first:
        said = first[theme].astype("str").str.strip()
        said = said.mask(said.eq("")).fillna(NO_THEME)
    else:
        said = pd.Series(NO_THEME, index=first.index, dtype="str")
    return contacts[contact].map(said).astype("str")


def _moves(contacts, model: _Model, changes: Mapping, complained: pd.Series) -> list[_Move]:
    moves = []
    for driver in model.drivers:
        change = changes.get(driver, "usual")
        if change is None:
            continue
        values = contacts[driver].dropna()
        if values.nunique() < 2:
            raise Refusal(f"{driver!r} has one value only.", "leave it out of the drivers.")
        if is_number(values):
            moves.append(_number_move(driver, values, change, model.per.get(driver, 1.0)))
        else:
            moves.append(_level_move(driver, values.astype("str"), change, model, complained))
    if not moves:
        raise Problem("`changes` holds every driver still.", "let one driver change.")
    return moves


def _number_move(driver: str, values: pd.Series, change, per: float) -> _Move:
    add = -float(per) if isinstance(change, str) else change
    if isinstance(add, bool) or not isinstance(add, Real) or not np.isfinite(add) or add == 0:
        raise Problem(
            f"`changes` gives {change!r} for the number {driver!r}.",
            "give what is added to each value, such as -60.",
        )
    least, most = float(values.min()), float(values.max())
    end = f"never below {least:g}" if add < 0 else f"never above {most:g}"
    words = f"{driver} {abs(add):g} {'less' if add < 0 else 'more'} ({end})"
    return _Move(driver, words, add=float(add), least=least, most=most)


def _level_move(driver: str, values: pd.Series, change, model: _Model, complained) -> _Move:
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    usual = str(model.reference.get(driver, counts.index[0]))
    if isinstance(change, str):
        rate = complained[values.index].groupby(values).mean().drop(usual, errors="ignore")
        change = {"from": str(rate.idxmax()), "to": usual, "share": A_FIFTH}
    share = change.get("share", A_FIFTH) if isinstance(change, Mapping) else None
    if share is None or set(change) - {"from", "to", "share"} or not 0 < float(share) <= 1:
        raise Problem(
            f"`changes` gives {change!r} for the category {driver!r}.",
            'give {"from": a level, "to": another, "share": between 0 and 1}.',
        )
    leave, enter = str(change.get("from", "")), str(change.get("to", usual))
    for level in (leave, enter):
        if level not in counts.index:
            raise Problem(
                f"`changes`: {driver!r} has no level {level!r}.", nearest(level, counts.index)
            )
    if leave == enter:
        raise Problem(f"`changes`: {driver!r} moves from {leave!r} to itself.", "name another.")
    words = f"{driver}: {100 * float(share):.4g} % of {leave!r} become {enter!r}"
    return _Move(driver, words, leave=leave, enter=enter, share=float(share))


# --- Targets --------------------------------------------------------------------------------------


def _ctq_rows(contacts, ctq: Mapping, model: _Model, moves: list[_Move], order: list) -> list[dict]:
    """One CTQ: what decides its measure is counted, the rest stands in a model."""
    broken = defects(
        contacts, measure=ctq["measure"], direction=ctq["direction"], limit=ctq["limit"]
    )
    head = {"target_kind": CTQ, "name": ctq["name"], "unit": "defects per 100 contacts"}
    known = contacts.assign(**{TARGET: broken})[broken.notna().to_numpy()]
    decided = [d for d in model.drivers if d == ctq["measure"] or _decides(known, d)]
    late = [d for d in model.drivers if d not in decided and _comes_after(d, ctq, order)]
    leaks = [d for d in model.drivers if d not in decided + late and _leaks(known, d)]
    used = [d for d in model.drivers if d not in decided + late + leaks]
    modelled = [move for move in moves if move.driver in used]
    rows = _modelled(known, used, model, modelled, float(ctq["target"]), moves)
    for move in moves:
        if move.driver in decided:
            rows[move.driver] = _counted_row(known, move, ctq, model)
        elif move.driver in late:
            rows[move.driver] = _silent(f"{move.driver} is settled after the measure")
        elif move.driver in leaks:
            rows[move.driver] = _silent(f"{move.driver} alone tells the measure: a leak")
    return [_row(move, head, rows[move.driver]) for move in moves]


def _comes_after(driver: str, ctq: Mapping, order: list) -> bool:
    place = {name: at for at, name in enumerate(order)}
    return place.get(driver, -1) > place.get(ctq["measure"], len(order))


def _decides(known: pd.DataFrame, driver: str) -> bool:
    """Whether each level of a category has one outcome only, and the levels differ."""
    if is_number(known[driver]) or known.empty:
        return False
    each = known[TARGET].astype(float).groupby(known[driver].astype("str")).agg(["min", "max"])
    return bool(len(each) > 1 and (each["min"] == each["max"]).all())


def _leaks(known: pd.DataFrame, driver: str) -> bool:
    rows = known[known[driver].notna()]
    y = rows[TARGET].to_numpy(dtype=float)
    if len(y) == 0 or y.min() == y.max():
        return False
    score = rows[driver]
    if not is_number(score):
        if score.nunique() > MOST_LEVELS:
            return False
        score = pd.Series(y, index=rows.index).groupby(score.astype("str")).transform("mean")
    auc = area(y, score.to_numpy(dtype=float))[0]
    return max(auc, 1 - auc) > LEAKS_ABOVE


def _complaint_rows(contacts, first: pd.Series, model: _Model, moves, themed: bool) -> list[dict]:
    """All complaints, then each theme; those with too few events together."""
    unit = "complaints per 100 contacts"
    targets = {ALL: first.notna()}
    if themed:
        targets |= _theme_targets(contacts, first, model)
    rows = []
    for name, hit in targets.items():
        head = {"target_kind": COMPLAINTS if name == ALL else THEME, "name": name, "unit": unit}
        told = _modelled(contacts.assign(**{TARGET: hit}), model.drivers, model, moves, None, moves)
        rows += [_row(move, head, told[move.driver]) for move in moves]
    return rows


def _theme_targets(contacts, first: pd.Series, model: _Model) -> dict[str, pd.Series]:
    sizes = first.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    least = EVENTS_PER_COEFFICIENT * _coefficients(contacts, model.drivers)
    own = list(sizes.index[sizes >= least])
    rest = [name for name in sizes.index if name not in own]
    targets = {name: first.eq(name).fillna(False) for name in own}
    if len(rest) == 1:
        targets[rest[0]] = first.eq(rest[0]).fillna(False)
    elif rest:
        targets[REST] = first.isin(rest)
    return targets


def _coefficients(contacts: pd.DataFrame, drivers: Sequence[str]) -> int:
    return sum(1 if is_number(contacts[d]) else contacts[d].nunique() - 1 for d in drivers)


# --- Lifts ----------------------------------------------------------------------------------------


def _modelled(known, used, model: _Model, moves, target: float | None, wanted) -> dict[str, dict]:
    """A model of one target, and the lift of each move; where it cannot be, the reason."""
    if not used:
        return {move.driver: _silent("no driver is left for a model") for move in wanted}
    try:
        fit, note = _fitted(known, used, model)
    except Refusal as why:
        return {move.driver: _silent(why.what.rstrip(".")) for move in wanted}
    ground = _ground(fit, known)
    return {move.driver: _model_row(ground, move, target, note) for move in moves}


def _fitted(known: pd.DataFrame, used: list[str], model: _Model) -> tuple[Fit, str]:
    """The model with its fixed groups, or, where events are too few for these, without."""
    fixed, note = model.fixed, ""
    events = known[TARGET].astype(float)
    rarer = min(events.sum(), len(events) - events.sum())
    wide = _coefficients(known, used)
    if fixed and fixed in known:
        wide += known[fixed].nunique() - 1
        if (
            EVENTS_PER_COEFFICIENT * _coefficients(known, used)
            <= rarer
            < wide * (EVENTS_PER_COEFFICIENT)
        ):
            fixed, note = "", f"too few events to hold {fixed} fixed"
    fit = fit_logistic(
        known,
        drivers=used,
        outcome=TARGET,
        fixed=fixed,
        cluster=model.cluster,
        per={name: unit for name, unit in model.per.items() if name in used},
        reference={name: level for name, level in model.reference.items() if name in used},
        confidence=model.confidence,
    )
    return fit, note


@dataclass(frozen=True, eq=False)
class _Ground:
    """What every lift of one model shares."""

    fit: Fit
    used: pd.DataFrame
    y: np.ndarray
    before: np.ndarray
    p: np.ndarray
    information: np.ndarray
    groups: np.ndarray


def _ground(fit: Fit, known: pd.DataFrame) -> _Ground:
    used, _ = known_to(fit, known)
    before = design_of(used, fit.terms)
    p = expit(before @ fit.b)
    information = (before * (p * (1 - p))[:, None]).T @ before / len(p)
    groups = groups_of(used, fit.fixed, fit.cluster)
    return _Ground(fit, used, true_or_false(used[TARGET]), before, p, information, groups)


def _model_row(ground: _Ground, move: _Move, target: float | None, note: str) -> dict:
    """The lift, from what the change does to each contact and from how b would vary."""
    b, y, p, n = ground.fit.b, ground.y, ground.p, len(ground.y)
    after = design_of(move.applied(ground.used), ground.fit.terms)
    q, weight = expit(after @ b), move.weight(ground.used)
    gain = weight * (q - p)
    slope = ((weight * q * (1 - q)) @ after - (weight * p * (1 - p)) @ ground.before) / n
    parts = gain - gain.mean()
    parts += (y - p) * (ground.before @ np.linalg.solve(ground.information, slope))
    spare = (n - 1) / (n - len(b))
    told = _told(gain, parts, y, ground.groups, target, ground.fit.confidence, spare)
    return told | {"how": MODEL, "note": "; ".join(filter(None, [note, told["note"]]))}


def _counted_row(known: pd.DataFrame, move: _Move, ctq: Mapping, model: _Model) -> dict:
    """The change of a CTQ's defects where the driver decides them."""
    if known.empty:
        return _silent("no contact has the measure")
    rows = known[known[move.driver].notna()]
    y = rows[TARGET].to_numpy(dtype=float)
    if move.driver == ctq["measure"] and not move.leave:
        changed = move.applied(rows)
        new = defects(
            changed, measure=move.driver, direction=ctq["direction"], limit=ctq["limit"]
        ).to_numpy(dtype=float)
        gain = new - y
    else:
        outcome = rows[TARGET].astype(float).groupby(rows[move.driver].astype("str")).mean()
        if not {move.leave, move.enter} <= set(outcome.index):
            return _silent(f"the measure is not known at {move.leave!r} or {move.enter!r}")
        gain = move.weight(rows) * (outcome[move.enter] - outcome[move.leave])
    fixed = model.fixed if model.fixed in rows else ""
    try:
        groups = groups_of(rows, fixed, model.cluster)
    except Refusal as why:
        return _silent(why.what.rstrip("."))
    told = _told(gain, gain - gain.mean(), y, groups, ctq["target"], model.confidence, 1.0)
    return told | {"how": DEFINITION}


def _told(gain, parts, y, groups, target, confidence: float, spare: float) -> dict:
    """A lift with its interval, and the share of the gap that it closes."""
    n, lift = len(y), float(gain.mean())
    t = float(stats.t.ppf((1 + confidence) / 2, groups.max()))
    error = np.sqrt(spare * interval.variance_of_sum(parts / n, groups))
    row = {
        "estimate": 100 * lift,
        "low": 100 * (lift - t * error),
        "high": 100 * (lift + t * error),
        "today_per_100": 100 * float(y.mean()),
        "contacts": n,
        "events": int(y.sum()),
        "note": "",
    }
    if target is None:
        return row | _shares(np.nan, np.nan, np.nan)
    return row | _gap(lift, parts, y, groups, float(target), t)


def _gap(lift: float, parts, y, groups, target: float, t: float) -> dict:
    """Fieller's interval of -lift / (rate - target)."""
    n, gap = len(y), float(y.mean()) - target
    of = y - y.mean()
    vaa = interval.variance_of_sum(parts / n, groups)
    vgg = interval.variance_of_sum(of / n, groups)
    vag = (interval.variance_of_sum((of - parts) / n, groups) - vaa - vgg) / 2  # of -parts and of
    a = gap**2 - t**2 * vgg
    if gap <= 0 or a <= 0:
        return _shares(np.nan, np.nan, np.nan) | {"note": "the target is met, or may be"}
    middle = (-lift * gap - t**2 * vag) / a
    half = np.sqrt(max(middle**2 - (lift**2 - t**2 * vaa) / a, 0.0))
    return _shares(-lift / gap, middle - half, middle + half)


def _shares(estimate: float, low: float, high: float) -> dict:
    names = ("share_of_gap", "share_of_gap_low", "share_of_gap_high")
    return dict(zip(names, map(float, (estimate, low, high)), strict=True))


def _silent(note: str) -> dict:
    empty = dict.fromkeys([*NUMBERS, "today_per_100"], np.nan)
    return empty | {"contacts": 0, "events": 0, "how": "", "note": note}


_COLUMNS = (
    "driver", "change", "target_kind", "name", "estimate", "low", "high", "unit", "today_per_100",
    "share_of_gap", "share_of_gap_low", "share_of_gap_high", "contacts", "events", "how", "note",
)  # fmt: skip


def _row(move: _Move, head: dict, told: dict) -> dict:
    whole = {"driver": move.driver, "change": move.words} | head | told
    return {column: whole[column] for column in _COLUMNS}
