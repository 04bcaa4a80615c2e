"""Which features of the service serve which needs, and where do they conflict?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle
from matplotlib.transforms import Bbox
from scipy import stats

from sqm import boxes, look
from sqm.checks import Problem, Refusal, nearest, need_columns, need_one_of, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import percentiles, spell

DIRECTIONS = ("higher", "lower", "target")
REQUIRED = ("name", "unit", "direction", "target", "serves")
OPTIONAL = ("today", "conflicts")
STRENGTHS = (9, 3, 1)
PULLS = (-2, -1, 1, 2)
ARROWS = ("↑", "↓", "◎")  # in the order of DIRECTIONS
SIGNS = ("− −", "−", "+", "+ +")  # in the order of PULLS
NAMED = 4  # conflicts named in a sentence


@dataclass(frozen=True, eq=False)
class QualityHouse(Finding):
    """The house of quality: needs of customers by features of the service.

    Attributes
    ----------
    table : DataFrame, one row per feature, the most important first
        ``feature``; ``unit``; ``direction``; ``today``, ``target``, ``gap``
        (target less today), all in ``unit``; ``met``, whether today reaches the
        target; ``importance``, the sum of need's weight times strength;
        ``estimate``, ``low``, ``high``, its share of all importance (0 to 1);
        ``rank``; ``first``, the chance that it is the most important (0 to 1);
        ``needs_served``; ``conflicts`` and ``supports``, with how many other
        features; ``note``.
    needs : tuple of str
        In the order of the weights given, the heaviest first.
    need_weights : tuple of float
    features : tuple of str
        In the order given, which is that of the picture.
    relations : tuple of tuples of int
        Strength (9, 3, 1 or 0) of each feature for each need: needs by features.
    roof : tuple of tuples of int
        Pull (-2 to 2) of each feature on each other: features by features.
    unserved, weakly_served : tuple of str
        Needs without any feature, and those whose strongest one is a 1.
    idle : tuple of str
        Features that serve no need.
    strong_conflicts : tuple of str
        Pairs of features that pull strongly against each other (-2) though both
        have more than an equal share of the importance.
    confidence : float
    draws : int
    """

    needs: tuple[str, ...]
    need_weights: tuple[float, ...]
    features: tuple[str, ...]
    relations: tuple[tuple[int, ...], ...]
    roof: tuple[tuple[int, ...], ...]
    unserved: tuple[str, ...]
    weakly_served: tuple[str, ...]
    idle: tuple[str, ...]
    strong_conflicts: tuple[str, ...]
    confidence: float
    draws: int

    def sentence(self) -> str:
        rest = [self._holes(), self._conflicts(), self._targets(), self._based()]
        return "\n".join([self._answer(), " ".join(filter(None, rest))])

    def _answer(self) -> str:
        told = []
        for row in self.table.head(2).itertuples():
            limits = [100 * each for each in (row.estimate, row.low, row.high)]
            known = np.isfinite(row.low)
            found = spell(*limits, confidence=self.confidence, digits=0, unit="%")
            found = found if known else f"{limits[0]:.0f} %"
            told.append(f"{look.shorten(row.feature, width=36)}: {found}")
        chance = self.table["first"].iloc[0]
        sure = f"; the first leads in {100 * chance:.0f} % of draws" if np.isfinite(chance) else ""
        return f"Most important to customers' needs (share of all): {', then '.join(told)}{sure}."

    def _holes(self) -> str:
        words = []
        if self.unserved:
            words.append(f"Needs that no feature serves: {_listed(self.unserved)}.")
        if self.weakly_served:
            words.append(f"Served weakly at best: {_listed(self.weakly_served)}.")
        if self.idle:
            words.append(f"Features that serve no need: {_listed(self.idle)}.")
        return " ".join(words) or "Every need has a feature, and every feature a need."

    def _conflicts(self) -> str:
        against = int(self.table["conflicts"].sum()) // 2
        if not against:
            return "No two features are said to conflict."
        words = f"{counted(against, 'pair')} of features conflict"
        if not self.strong_conflicts:
            return f"{words}, none strongly between two important ones."
        return f"{words}; strongly, and both important: {_listed(self.strong_conflicts)}."

    def _targets(self) -> str:
        met = self.table["met"]
        words = f"{int(met.fillna(False).sum())} of {counted(len(met), 'feature')} meet the target"
        unknown = int(met.isna().sum())
        return f"{words}, {unknown} not measured today." if unknown else f"{words} today."

    def _based(self) -> str:
        words = (
            "Importance is the sum of need's weight times strength (9, 3, 1), a convention; "
            "strengths and conflicts are judgements and in no interval."
        )
        if self.table["low"].isna().all():
            return f"{words} The needs' weights have no interval, so these have none."
        return (
            f"{words} The intervals carry those of the weights in {self.draws:,} draws, as if the "
            f"{counted(len(self.needs), 'need')} erred independently: approximate."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        plan = _Plan(len(self.needs), len(self.features))
        _sized(ax, plan)
        _draw_matrix(ax, plan, self)
        _draw_heads(ax, plan, self)
        _draw_roof(ax, plan, self.roof)
        _draw_floor(ax, plan, self.table.set_index("feature").loc[list(self.features)])
        _draw_key(ax, plan)
        return ax


def quality_house(
    features: Sequence[Mapping],
    *,
    weights: pd.DataFrame,
    rng: np.random.Generator,
    confidence: float = 0.95,
    draws: int = 2000,
) -> QualityHouse:
    """Relate the features of a service to the needs of its customers.

    Parameters
    ----------
    features : sequence of mappings
        Each has ``name``, ``unit`` (may be empty), ``direction`` ("higher",
        "lower" or "target" is better), ``target`` (a number in ``unit``),
        ``serves`` (need: 9 strongly, 3 fairly, 1 weakly); optional ``today`` (a
        number in ``unit``) and ``conflicts`` (other feature: -2, -1, 1 or 2,
        negative where they pull against each other; one side is enough).
    weights : DataFrame
        ``need``, ``estimate``, ``low``, ``high``, none negative.
    rng : Generator
        Chance for the draws.
    confidence : float, default 0.95
        Level of the intervals in ``weights``, and of those given.
    draws : int, default 2000

    Returns
    -------
    QualityHouse

    Raises
    ------
    Problem
        If a key is missing, unknown or of the wrong kind, a name comes twice, a need
        has no weight, or two features say different things of their conflict.
    Refusal
        If there is no feature, or the needs served have no weight at all.

    Notes
    -----
    Importance of feature f: sum over needs of weight times strength; its share is
    importance over the sum of all importances [1]_.  Each draw takes every weight
    from a normal distribution of two halves that fit ``low`` and ``high``, cut at 0,
    independently; the limits are percentiles of the shares.  Weights w that sum to 1
    do not err independently: they are drawn wider by 1 / sqrt(1 - w), as counts
    vary more than the shares they make.  Approximate, since how they err together is
    not known.  A weight without interval is held fast.

    References
    ----------
    .. [1] Hauser, J. R., Clausing, D. (1988). The house of quality. Harvard Business
       Review 66(3), 63-73.

    Examples
    --------
    Weights 0.75 and 0.25: 9 * 0.75 = 6.75 against 9 * 0.25 = 2.25, shares 3/4 and 1/4.

    >>> common = {"unit": "s", "direction": "lower", "target": 20}
    >>> features = [{"name": "wait", **common, "serves": {"speed": 9}},
    ...             {"name": "talk", **common, "serves": {"care": 9}}]
    >>> weights = pd.DataFrame({"need": ["speed", "care"], "estimate": [0.75, 0.25],
    ...                         "low": [0.6, 0.1], "high": [0.9, 0.4]})
    >>> found = quality_house(features, weights=weights, rng=np.random.default_rng(1))
    >>> found.table["estimate"].tolist()
    [0.75, 0.25]
    """
    need_share(confidence, name="confidence")
    if draws < 100:
        raise Problem(f"draws is {draws}.", "give 100 or more, for example 2000.")
    needs = _weighed(weights)
    if not features:
        raise Refusal("No feature of the service is named.", "name some under `features`.")
    full = [_checked(each, at, list(needs["need"])) for at, each in enumerate(features, start=1)]
    names = [each["name"] for each in full]
    _need_once(names)
    relations = np.array(
        [[each["serves"].get(need, 0) for each in full] for need in needs["need"]], dtype=int
    )
    roof = _roof(full, names)
    drawn = _drawn(needs, rng, confidence, draws)
    table = _feature_table(full, relations, roof, needs["estimate"].to_numpy(float), drawn)
    table = _limits(table, relations, drawn, confidence)
    strongest = relations.max(axis=1)
    return QualityHouse(
        table=table.sort_values(["rank", "feature"], ignore_index=True),
        needs=tuple(needs["need"]),
        need_weights=tuple(map(float, needs["estimate"])),
        features=tuple(names),
        relations=tuple(tuple(map(int, row)) for row in relations),
        roof=tuple(tuple(map(int, row)) for row in roof),
        unserved=tuple(needs.loc[strongest == 0, "need"]),
        weakly_served=tuple(needs.loc[strongest == 1, "need"]),
        idle=tuple(table.loc[table["needs_served"] == 0, "feature"]),
        strong_conflicts=_strong(table, roof),
        confidence=confidence,
        draws=draws,
    )


# --- What was given -------------------------------------------------------------------------------


def _weighed(weights: pd.DataFrame) -> pd.DataFrame:
    columns = ["need", "estimate", "low", "high"]
    need_columns(weights, columns, source="the table of weights")
    known = weights[columns].dropna(subset=["need", "estimate"]).astype({"need": str})
    twice = known["need"][known["need"].duplicated()]
    if len(twice):
        raise Problem(f"The weights name {twice.iloc[0]!r} twice.", "keep one row for each need.")
    below = known["need"][known["estimate"] < 0]
    if len(below):
        raise Problem(f"The weight of {below.iloc[0]!r} is negative.", "give weights from 0 up.")
    if not known["estimate"].sum() > 0:
        raise Refusal("No need has a weight above 0.", "weigh the needs first.")
    return known.sort_values("estimate", ascending=False, kind="stable", ignore_index=True)


def _checked(feature: Mapping, at: int, needs: list[str]) -> dict:
    """One feature with its blanks filled in; every complaint about it names it."""
    if not isinstance(feature, Mapping):
        raise Problem(f"Feature number {at} is {feature!r}.", "write it as names and values.")
    who = f"Feature {feature['name']!r}" if feature.get("name") else f"Feature number {at}"
    for key in feature:
        if key not in (*REQUIRED, *OPTIONAL):
            raise Problem(f"{who} has an unknown {key!r}.", nearest(key, (*REQUIRED, *OPTIONAL)))
    for key in REQUIRED:
        if key not in feature:
            raise Problem(f"{who} has no {key!r}.", f"add `{key}`.")
    for key in ("name", "unit"):
        if not isinstance(feature[key], str) or (key == "name" and not feature[key].strip()):
            raise Problem(f"{who}: {key!r} is {feature[key]!r}.", "write it as text.")
    need_one_of(feature["direction"], DIRECTIONS, name=f"{who}: 'direction'")
    full = {"today": None, **feature}
    for key in ("serves", "conflicts"):
        full[key] = _marks(full.get(key), STRENGTHS if key == "serves" else PULLS, f"{who}: {key}")
    _need_values(full, who)
    lost = [need for need in full["serves"] if need not in needs]
    if lost:
        raise Problem(f"{who} serves {lost[0]!r}, which has no weight.", nearest(lost[0], needs))
    return full


def _marks(given: Mapping | None, allowed: tuple[int, ...], who: str) -> dict[str, int]:
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise Problem(f"{who} is {given!r}.", "write names and marks.")
    for name, mark in given.items():
        if isinstance(mark, bool) or mark not in allowed:
            raise Problem(
                f"{who}: the mark of {name!r} is {mark!r}.",
                f"give one of {', '.join(map(str, allowed))}, or leave it out.",
            )
    return {str(name): int(mark) for name, mark in given.items()}


def _need_values(feature: dict, who: str) -> None:
    for key in ("today", "target"):
        value = feature[key]
        if key == "today" and value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not np.isfinite(value):
            raise Problem(
                f"{who}: {key!r} is {value!r}.", f"give a number in {feature['unit'] or 'units'}."
            )


def _need_once(names: list[str]) -> None:
    twice = [name for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise Problem(f"Two features are called {twice[0]!r}.", "give each its own name.")


def _roof(features: list[dict], names: list[str]) -> np.ndarray:
    """Pulls between features, both ways round."""
    place, roof = {name: at for at, name in enumerate(names)}, np.zeros((len(names),) * 2, int)
    for i, feature in enumerate(features):
        for other, pull in feature["conflicts"].items():
            who = f"Feature {feature['name']!r} conflicts with {other!r}"
            if other not in place or place[other] == i:
                rest = [name for name in names if name != feature["name"]]
                raise Problem(f"{who}, which is no other feature.", nearest(other, rest))
            j = place[other]
            if roof[i, j] not in (0, pull):
                raise Problem(
                    f"{who} by {pull}, and the other way round by {roof[i, j]}.",
                    "say it once, or the same on both sides.",
                )
            roof[i, j] = roof[j, i] = pull
    return roof


# --- Importance -----------------------------------------------------------------------------------


def _drawn(
    needs: pd.DataFrame, rng: np.random.Generator, confidence: float, draws: int
) -> np.ndarray:
    """Weights of the needs (draws by needs); empty if none has an interval."""
    middle, low, high = (needs[c].to_numpy(float) for c in ("estimate", "low", "high"))
    if not np.isfinite(low + high).any():
        return np.empty((0, len(needs)))
    z = stats.norm.ppf((1 + confidence) / 2)
    up, down = (np.nan_to_num(np.maximum(part, 0)) / z for part in (high - middle, middle - low))
    chance = rng.normal(size=(draws, len(needs))) * _before_sharing(middle)
    return np.maximum(middle + np.where(chance > 0, up, down) * chance, 0)


def _before_sharing(weights: np.ndarray) -> np.ndarray:
    """How much wider the parts of a whole vary than the shares that they end up with.

    Independent counts of mean w and variance w / n, over their sum, have the variance
    w (1 - w) / n.  Weights that are no shares of 1 are taken as they are.
    """
    if not np.isclose(weights.sum(), 1, atol=0.01):
        return np.ones(len(weights))
    return 1 / np.sqrt(np.maximum(1 - weights, 0.05))


def _feature_table(
    features: list[dict],
    relations: np.ndarray,
    roof: np.ndarray,
    weights: np.ndarray,
    drawn: np.ndarray,
) -> pd.DataFrame:
    columns = ["name", "unit", "direction", "today", "target"]
    table = pd.DataFrame([{c: each[c] for c in columns} for each in features])
    table = table.rename(columns={"name": "feature"}).astype({"today": float, "target": float})
    importance = weights @ relations
    if not importance.sum() > 0:
        raise Refusal(
            "No feature serves a need that has weight.", "say under `serves` what each is for."
        )
    return table.assign(
        gap=table["target"] - table["today"],
        met=_met(table),
        importance=importance,
        estimate=importance / importance.sum(),
        rank=pd.Series(-importance.round(12)).rank(method="min").astype(int),
        needs_served=(relations > 0).sum(axis=0),
        conflicts=(roof < 0).sum(axis=1),
        supports=(roof > 0).sum(axis=1),
        note=[_note(each, served) for each, served in zip(features, relations.T, strict=True)],
    )


def _met(table: pd.DataFrame) -> pd.Series:
    higher, lower = (table["direction"] == each for each in DIRECTIONS[:2])
    met = table["today"] == table["target"]
    met = met | (higher & (table["today"] > table["target"]))
    met = met | (lower & (table["today"] < table["target"]))
    return met.astype("boolean").mask(table["today"].isna())


def _note(feature: dict, served: np.ndarray) -> str:
    notes = [] if served.any() else ["serves no need"]
    return "; ".join(notes + (["not measured today"] if feature["today"] is None else []))


def _limits(
    table: pd.DataFrame, relations: np.ndarray, drawn: np.ndarray, confidence: float
) -> pd.DataFrame:
    """Put the limits of the shares, and the chance of coming first, beside the shares."""
    importance = drawn @ relations
    total = importance.sum(axis=1, keepdims=True)
    shares = importance[total[:, 0] > 0] / total[total[:, 0] > 0]
    low = high = first = np.full(len(table), np.nan)
    if len(shares):
        low, high = percentiles(shares, confidence=confidence)
        top = np.isclose(shares, shares.max(axis=1, keepdims=True), atol=1e-12)
        first = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
    table = table.assign(low=low, high=high, first=first)
    order = ["feature", "unit", "direction", "today", "target", "gap", "met", "importance"]
    order += ["estimate", "low", "high", "rank", "first", "needs_served", "conflicts", "supports"]
    return table[[*order, "note"]]


def _strong(table: pd.DataFrame, roof: np.ndarray) -> tuple[str, ...]:
    """Pairs at -2 of which both carry more than an equal share, the weightiest pair first."""
    shares, names = table["estimate"].to_numpy(), table["feature"].tolist()
    heavy = shares > 1 / len(shares)
    pairs = [
        (i, j) for i, j in zip(*np.where(np.triu(roof) == -2), strict=True) if heavy[i] and heavy[j]
    ]
    pairs.sort(key=lambda pair: (-shares[pair[0]] - shares[pair[1]], pair))
    return tuple(f"{names[i]} and {names[j]}" for i, j in pairs)


def _listed(names: Sequence[str]) -> str:
    return listed([look.shorten(name, width=60) for name in names], most=NAMED)


# --- The picture ----------------------------------------------------------------------------------


class _Plan:
    """Where the parts of the house lie, in inches from the lower left corner."""

    def __init__(self, needs: int, features: int) -> None:
        self.needs, self.features = needs, features
        self.left = 2.45  # names and weights of the needs
        self.cell = float(np.clip((9.4 - self.left) / features, 0.34, 0.72))
        self.row = 0.3 if needs <= 16 else 0.24
        self.heads, self.bars, self.goals = 1.45, 0.95, 0.95
        self.floor = self.goals + 0.1 + self.bars + 0.15  # lower edge of the matrix
        self.ceiling = self.floor + needs * self.row
        self.eaves = self.ceiling + self.heads
        self.slope = min(1.0, 3.2 / max(features * self.cell, 0.1))  # a wide roof is kept low
        self.ridge = self.eaves + features * self.cell / 2 * self.slope
        self.width = self.left + features * self.cell + 0.1
        self.height = max(self.ridge, self.eaves + 0.95) + 0.05

    def x(self, feature: int) -> float:
        """The middle of a feature's column."""
        return self.left + (feature + 0.5) * self.cell

    def y(self, need: int) -> float:
        """The middle of a need's row."""
        return self.ceiling - (need + 0.5) * self.row


def _sized(ax: Axes, plan: _Plan) -> None:
    """Make room: a figure that holds nothing else takes the size of the house."""
    figure = ax.get_figure(root=True)
    if figure.axes == [ax]:
        figure.set_size_inches(max(plan.width + 0.3, 7.2), plan.height + 0.5)
    boxes.canvas(ax, title="Which features serve which needs, and where do they conflict?")
    spare = max(7.2 - 0.3 - plan.width, 0)
    ax.set(xlim=(0, plan.width + spare), ylim=(0, plan.height))


def _fitted(ax: Axes, text: str, width: float, height: float, size: float) -> str:
    """A text broken and cut to a box in inches."""
    (_, across), (_, up) = ax.get_xlim(), ax.get_ylim()
    return "\n".join(
        boxes.fitted(ax, text, Bbox.from_bounds(0, 0, width / across, height / up), size)
    )


def _draw_matrix(ax: Axes, plan: _Plan, house: QualityHouse) -> None:
    total = sum(house.need_weights)
    right = plan.left + plan.features * plan.cell
    for at, (need, weight) in enumerate(zip(house.needs, house.need_weights, strict=True)):
        y = plan.y(at)
        colour = look.MEANING["worse"] if need in house.unserved else "black"
        name = _fitted(ax, need, plan.left - 0.55, plan.row, 8)
        ax.text(0.02, y, name, size=8, va="center", color=colour, linespacing=1)
        ax.text(
            plan.left - 0.08, y, f"{100 * weight / total:.0f} %", size=8, va="center", ha="right"
        )
        ax.plot([0, right], [y - plan.row / 2] * 2, color="#e3e6e8", lw=0.8, zorder=0)
        for column, strength in enumerate(house.relations[at]):
            if strength:
                _mark(ax, plan.x(column), y, strength)
    for column in range(plan.features + 1):
        x = plan.left + column * plan.cell
        ax.plot([x, x], [plan.floor, plan.eaves], color="#e3e6e8", lw=0.8, zorder=0)
    _frame(ax, plan.left, plan.floor, right - plan.left, plan.ceiling - plan.floor)


def _frame(ax: Axes, x: float, y: float, width: float, height: float) -> None:
    edge = look.MEANING["usual"]
    ax.add_patch(Rectangle((x, y), width, height, fc="none", ec=edge, lw=1.1, clip_on=False))


def _mark(ax: Axes, x: float, y: float, strength: int) -> None:
    """9 a full circle, 3 an empty one, 1 a small triangle."""
    marker, size, filled = {9: ("o", 9, True), 3: ("o", 8, False), 1: ("^", 5.5, False)}[strength]
    colour = look.MEANING["usual"]
    face = colour if filled else "white"
    ax.plot(x, y, marker=marker, ms=size, mec=colour, mfc=face, mew=1.2, ls="", clip_on=False)


def _draw_heads(ax: Axes, plan: _Plan, house: QualityHouse) -> None:
    directions = house.table.set_index("feature")["direction"]
    for at, name in enumerate(house.features):
        x = plan.x(at)
        arrow = ARROWS[DIRECTIONS.index(directions[name])]
        ax.text(x, plan.ceiling + 0.12, arrow, size=9, ha="center", va="center")
        text = _fitted(ax, name, plan.heads - 0.3, plan.cell, 8)
        colour = look.MEANING["worse"] if name in house.idle else "black"
        ax.text(
            x,
            plan.ceiling + 0.26,
            text,
            size=8,
            rotation=90,
            ha="center",
            va="bottom",
            color=colour,
            linespacing=1,
        )


def _draw_roof(ax: Axes, plan: _Plan, roof: Sequence[Sequence[int]]) -> None:
    """A diamond for each pair of features, over the middle between them."""
    half, up = plan.cell / 2, plan.cell / 2 * plan.slope
    for i in range(plan.features):
        x = plan.x(i)
        corners = [(x - half, plan.eaves), (x, plan.eaves + up), (x + half, plan.eaves)]
        ax.add_patch(Polygon(corners, fc="white", ec="#c9ced2", lw=0.8))
        for j in range(i + 1, plan.features):
            middle, y = (plan.x(i) + plan.x(j)) / 2, plan.eaves + (j - i) * up
            _diamond(ax, middle, y, half, up, roof[i][j])
    right, middle = plan.left + plan.features * plan.cell, plan.left + plan.features * half
    edges = [(plan.left, plan.eaves), (middle, plan.ridge), (right, plan.eaves)]
    ax.add_patch(Polygon(edges, fc="none", ec=look.MEANING["usual"], lw=1.1, clip_on=False))


def _diamond(ax: Axes, x: float, y: float, half: float, up: float, pull: int) -> None:
    corners = [(x - half, y), (x, y + up), (x + half, y), (x, y - up)]
    face = {-2: "#e8b4a8", -1: "#f6e3de", 1: "#dceeec", 2: "#a9d3cf"}.get(pull, "white")
    ax.add_patch(Polygon(corners, fc=face, ec="#c9ced2", lw=0.8))
    if pull:
        size = 8 if min(half, up) > 0.2 else 6.5
        ax.text(x, y, SIGNS[PULLS.index(pull)], size=size, ha="center", va="center")


def _draw_floor(ax: Axes, plan: _Plan, table: pd.DataFrame) -> None:
    """Bars of relative importance, and below them what is measured today and aimed at."""
    base, limit = plan.goals + 0.1, table[["estimate", "high"]].max(axis=1).max()
    scale = (plan.bars - 0.2) / limit
    for at, row in enumerate(table.itertuples()):
        x, top = plan.x(at), base + row.estimate * scale
        wide = plan.cell * 0.6
        ax.add_patch(Rectangle((x - wide / 2, base), wide, top - base, fc="#c3cad0", ec="none"))
        if np.isfinite(row.low):
            ends = [base + row.low * scale, base + row.high * scale]
            ax.plot([x, x], ends, color=look.MEANING["usual"], lw=1.4)
            top = max(top, ends[1])
        ax.text(x, top + 0.02, f"{100 * row.estimate:.0f}", size=7.5, ha="center", va="bottom")
        _draw_goal(ax, plan, x, row)
    right = plan.left + plan.features * plan.cell
    ax.plot([plan.left, right], [base, base], color=look.MEANING["usual"], lw=1.1)
    said = {base + plan.bars / 2: "importance, %\n(line: interval)"}
    said[plan.goals - 0.15] = "today → target"
    for y, text in said.items():
        ax.text(plan.left - 0.08, y, text, size=8, ha="right", va="center")


def _draw_goal(ax: Axes, plan: _Plan, x: float, row: tuple) -> None:
    today = "?" if np.isnan(row.today) else f"{row.today:.4g}"
    text = f"{today} → {row.target:.4g} {row.unit}".strip()
    met = not pd.isna(row.met) and bool(row.met)
    text, colour = (f"{text} ✓", look.MEANING["better"]) if met else (text, "black")
    shown = _fitted(ax, text, plan.goals, plan.cell, 7.5)
    ax.text(x, plan.goals, shown, size=7.5, rotation=90, ha="center", va="top", color=colour)


def _draw_key(ax: Axes, plan: _Plan) -> None:
    """What the signs mean, in the free corner beside the roof."""
    top = plan.eaves + 0.6
    for at, (strength, word) in enumerate(
        zip(STRENGTHS, ("strongly", "fairly", "weakly"), strict=True)
    ):
        y = top - 0.2 * at
        _mark(ax, 0.1, y, strength)
        ax.text(0.25, y, f"serves it {word} ({strength})", size=7.5, va="center")
    words = [
        f"{sign}  {text}"
        for sign, text in zip(
            (f"{SIGNS[0]}  {SIGNS[1]}", f"{SIGNS[2]}  {SIGNS[3]}"),
            ("conflict", "support"),
            strict=True,
        )
    ]
    words += [f"{ARROWS[0]} {ARROWS[1]} {ARROWS[2]}  higher, lower, on target is better"]
    words += ["in red: need or feature alone"]
    for at, text in enumerate(words, start=3):
        ax.text(0.02, top - 0.2 * at, text, size=7.5, va="center")
