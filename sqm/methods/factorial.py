"""Which of several changes matters, and how would a planned trial tell?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb, log2

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import linalg, stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_share, need_whole
from sqm.finding import Finding, counted, listed, together
from sqm.interval import digits_for, spell

LETTERS = "ABCDEFGHJKLMNOP"  # I stands for the mean
MOST_RUNS = 256
MOST_COMPARED = 60_000  # choices of generators that are all compared
FEWEST_EFFECTS = 6  # below which small effects say too little of chance: a convention of sqm
LEAST_OWN = 0.05  # share of an effect's column that those before it must leave
SIMULATED = 40_000  # trials in which nothing matters, for Lenth's critical values
KEPT = 400  # choices kept at each step where they are too many
ORDER = ("run_order", "standard_order", "block", "replicate", "centre")
ROMAN = {3: "III", 4: "IV", 5: "V", 6: "VI", 7: "VII"}


# --- The plan -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FactorialPlan(Finding):
    """Runs of a two-level trial in random order, and what they can and cannot tell apart.

    Attributes
    ----------
    table : DataFrame, one row per run in the order in which they are to be made
        ``run_order``; ``standard_order`` (Yates: the first factor changes fastest); ``block``;
        ``replicate``; ``centre``, whether it is a run in the middle; one column per factor with the
        level to set; ``result``, blank, to be filled in.
    factors : tuple of str
    letters, low_levels, high_levels : tuple of str
        ``A = name`` for each factor, and its two levels as text.
    runs, distinct, replicates, centre_points, blocks : int
        Runs in all; combinations of levels; times each is made; runs in the middle; blocks.
    resolution : int
        Length of the shortest word of the defining relation; 0 for a full factorial.
    generators : tuple of str
        ``D = ABC`` for each factor that a product of others sets.
    defining_relation : tuple of str
        Words that equal the mean.
    word_lengths : tuple of int
        Words of length 3, 4, 5, ... in the defining relation.
    aliases : tuple of str
        Sets of main effects and pairs that cannot be told apart: ``AB = CD``.
    with_blocks : tuple of str
        Main effects and pairs that cannot be told from differences between blocks.
    proved : bool
        Whether all choices of generators were compared.
    """

    factors: tuple[str, ...]
    letters: tuple[str, ...]
    low_levels: tuple[str, ...]
    high_levels: tuple[str, ...]
    runs: int
    distinct: int
    replicates: int
    centre_points: int
    blocks: int
    resolution: int
    generators: tuple[str, ...]
    defining_relation: tuple[str, ...]
    word_lengths: tuple[int, ...]
    aliases: tuple[str, ...]
    with_blocks: tuple[str, ...]
    proved: bool

    def sentence(self) -> str:
        rest = [
            f"{', '.join(self.letters)}.",
            self._mixed(),
            self._extent(),
            "The order is drawn by chance, so that what drifts meanwhile does not look like an"
            " effect: keep to it, or write down where it was broken.",
            "Interactions of three factors and more are taken as small where something is mixed"
            " with them."
            if self.generators
            else "",
        ]
        return f"{self._answer()}\n{' '.join(filter(None, rest))}"

    def _answer(self) -> str:
        size = f"{counted(self.runs, 'run')} for {counted(len(self.factors), 'factor')}"
        if not self.generators:
            return f"{size}, every combination of levels: all effects can be told apart."
        name = ROMAN.get(self.resolution, str(self.resolution))
        return f"{size}, resolution {name}: {self._clear()}."

    def _clear(self) -> str:
        if self.resolution == 3:
            return "main effects are mixed with pairs of factors, which must be taken as small"
        if self.resolution == 4:
            return "main effects are clear of pairs, but some pairs are mixed with each other"
        return "main effects and pairs are clear of each other"

    def _mixed(self) -> str:
        if not self.generators:
            return ""
        words = f"Set by products of others: {', '.join(self.generators)}"
        words += "" if self.proved else " (good generators, not proved the best)"
        words += f"; defining relation I = {listed(self.defining_relation, most=15, apart=' = ')}."
        if self.aliases:
            words += f" Cannot be told apart: {listed(self.aliases, most=15, apart='; ')}."
        return words

    def _extent(self) -> str:
        words = f"{counted(self.distinct, 'combination')} made {counted(self.replicates, 'time')}"
        if self.centre_points:
            words += f", with {counted(self.centre_points, 'run')} in the middle of all factors"
        if self.blocks > 1:
            words += f", in {self.blocks} blocks"
        words += "."
        if self.with_blocks:
            words += f" Mixed with the blocks: {together(self.with_blocks)}."
        if self.replicates == 1 and self.centre_points < 2:
            words += (
                " Without repeated runs chance is judged from the small effects themselves, which"
                " presumes that most changes do nothing."
            )
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        for i, factor in enumerate(self.factors):
            set_to = self.table[factor].astype("str")
            for kind, level in (("worse", self.low_levels[i]), ("better", self.high_levels[i])):
                runs = self.table.loc[set_to.eq(level), "run_order"]
                # the colours tell low from high here, the shapes too
                ax.plot(
                    runs, [i] * len(runs), look.MARKER[kind], ls="", color=look.MEANING["usual"],
                    mfc="none" if kind == "worse" else None, ms=6,
                    label=("low level", "high level")[kind == "better"] if i == 0 else None,
                )  # fmt: skip
        centre = self.table.loc[self.table["centre"], "run_order"]
        for run in centre:
            ax.axvline(run, color=look.MEANING["limit"], lw=1, ls=":")
        ax.set_yticks(range(len(self.factors)), [look.shorten(each) for each in self.letters])
        ax.set_ylim(len(self.factors) - 0.5, -0.5)
        ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
        return look.label(ax, title="Which level is set in each run?", x="run, in the order drawn")


def factorial_plan(
    factors: Mapping[str, Sequence],
    *,
    runs: int | None = None,
    resolution: int | None = None,
    replicates: int = 1,
    centre_points: int = 0,
    blocks: int = 1,
    rng: np.random.Generator,
) -> FactorialPlan:
    """Plan a two-level trial, full or a fraction, in random order.

    Parameters
    ----------
    factors : dict of str to [low, high]
        Two levels of each factor, numbers or names.
    runs : int, optional
        Combinations to be made, a power of two; all of them if neither this nor a resolution is
        given.
    resolution : int, optional
        The fewest runs that reach it are taken: 3 tells main effects from each other, 4 main
        effects from pairs too, 5 pairs from each other too.
    replicates : int, default 1
        How often each combination is made.
    centre_points : int, default 0
        Runs in the middle of all factors, which must then be numbers.
    blocks : int, default 1
        Days, sites or shifts among which the runs are spread: a divisor of ``replicates``, or a
        power of two.
    rng : Generator
        Draws the order, within blocks.

    Returns
    -------
    FactorialPlan

    Raises
    ------
    Refusal
        If the runs are too few for the factors.
    Problem
        If levels, runs, replicates or blocks do not make sense.

    Notes
    -----
    A fraction of 2^k in 2^(k - p) runs sets p factors by products of the others.  The generators
    are those of minimum aberration [1]_: fewest words of length 3 in the defining relation, then
    of length 4, and so on, which includes the highest resolution.  All choices are compared up to
    60,000; beyond, the best are built up factor by factor.  Blocks are made by the interactions
    that mix fewest pairs of factors with them.

    References
    ----------
    .. [1] Fries, A., Hunter, W. G. (1980). Minimum aberration 2^(k-p) designs. Technometrics 22,
       601-608. doi:10.1080/00401706.1980.10486210

    Examples
    --------
    Half of 2^4: D = ABC, pairs mixed with pairs.

    >>> levels = {name: [-1, 1] for name in ["staff", "script", "tool", "hours"]}
    >>> plan = factorial_plan(levels, runs=8, rng=np.random.default_rng(1))
    >>> plan.generators, plan.resolution, plan.aliases
    (('D = ABC',), 4, ('AB = CD', 'AC = BD', 'AD = BC'))
    """
    levels = _levels(factors, centre_points)
    k = len(levels)
    _need_counts(replicates, centre_points, blocks)
    words, proved = _fraction(k, runs, resolution)
    base = k - len(words)
    signs = _signs(base, words)
    relation = _relation(words, k)
    parts, mixed = _blocks(signs, relation, k, blocks, replicates)
    table = _laid_out(signs, parts, levels, replicates, centre_points, blocks, rng)
    lengths = [word.bit_count() for word in relation]
    return FactorialPlan(
        table=table,
        factors=tuple(levels),
        letters=tuple(f"{LETTERS[i]} = {name}" for i, name in enumerate(levels)),
        low_levels=_texts(table, levels, 0),
        high_levels=_texts(table, levels, 1),
        runs=len(table),
        distinct=len(signs),
        replicates=replicates,
        centre_points=int(table["centre"].sum()),
        blocks=blocks,
        resolution=min(lengths, default=0),
        generators=tuple(
            f"{LETTERS[base + i]} = {_word(word ^ 1 << (base + i))}" for i, word in enumerate(words)
        ),
        defining_relation=tuple(_word(word) for word in _by_length(relation)),
        word_lengths=tuple(lengths.count(i) for i in range(3, max(lengths, default=2) + 1)),
        aliases=tuple(" = ".join(map(_word, each)) for each in _chains(relation, k)),
        with_blocks=mixed,
        proved=proved,
    )


def _texts(table: pd.DataFrame, levels: dict[str, tuple], side: int) -> tuple[str, ...]:
    """One of the two levels of each factor, as the plan writes it."""
    return tuple(
        str(pd.Series([pair[side]]).astype(table[name].dtype).iloc[0])
        for name, pair in levels.items()
    )


def _levels(factors: Mapping[str, Sequence], centre_points: int) -> dict[str, tuple]:
    if not isinstance(factors, Mapping) or len(factors) < 2:
        raise Problem(
            "Fewer than two factors are named.", "give two factors or more, each [low, high]."
        )
    if len(factors) > len(LETTERS):
        raise Problem(
            f"{len(factors)} factors are named, more than {len(LETTERS)}.", "plan with fewer."
        )
    levels = {str(name): _pair(str(name), given) for name, given in factors.items()}
    for name, given in levels.items():
        if name in (*ORDER, "result"):
            raise Problem(f"A factor is called {name!r}, as a column of the plan.", "rename it.")
        if centre_points and not all(_is_number(level) for level in given):
            raise Problem(
                f"{name!r} has no middle between {given[0]!r} and {given[1]!r}.",
                "leave out the centre points, or give numbers.",
            )
    return levels


def _pair(name: str, given: Sequence) -> tuple:
    pair = tuple(given) if isinstance(given, list | tuple) else ()
    if len(pair) != 2 or pair[0] == pair[1]:
        raise Problem(f"{name!r} has the levels {given!r}.", "give two that differ: [low, high].")
    return pair


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _need_counts(replicates: int, centre_points: int, blocks: int) -> None:
    for name, value, least in (
        ("replicates", replicates, 1),
        ("centre_points", centre_points, 0),
        ("blocks", blocks, 1),
    ):
        need_whole(value, name=name, least=least)


# --- Generators: a word is a number whose bits are its factors ------------------------------------


def _fraction(k: int, runs: int | None, resolution: int | None) -> tuple[tuple[int, ...], bool]:
    """Words that define the fraction, each ending in the factor that it sets."""
    if runs is not None and (runs < 4 or runs & (runs - 1)):
        raise Problem(f"runs is {runs}.", "give a power of two: 4, 8, 16, 32, ...")
    if runs is not None and runs > 2**k:
        raise Problem(
            f"runs is {runs}, and all combinations of {k} factors are {2**k}.",
            "make them more than once: give `replicates`.",
        )
    if runs is not None and runs <= k:
        raise Refusal(
            f"{runs} runs are too few for {k} factors: with the mean there is more to learn than"
            " there are runs.",
            f"make {2 ** int(np.ceil(log2(k + 1)))} runs or more, or leave out factors.",
        )
    if runs is not None:
        return _generators(k, max(k - int(log2(runs)), 0))
    if resolution is None:
        if 2**k > MOST_RUNS:
            raise Problem(
                f"All combinations of {k} factors are {2**k:,} runs.",
                "give `runs` or a `resolution`.",
            )
        return (), True
    return _fewest(k, resolution)


def _fewest(k: int, resolution: int) -> tuple[tuple[int, ...], bool]:
    if not 3 <= resolution <= 7:
        raise Problem(f"resolution is {resolution!r}.", "give 3, 4 or 5.")
    for base in range(2, k):
        if 2**base > k and 2**base <= MOST_RUNS:
            words, proved = _generators(k, k - base)
            if min(word.bit_count() for word in _relation(words, k)) >= resolution:
                return words, proved
    if 2**k > MOST_RUNS:
        raise Refusal(
            f"No fraction of up to {MOST_RUNS} runs was found that reaches resolution {resolution}"
            f" with {k} factors.",
            "leave out factors, or be content with a lower resolution.",
        )
    return (), True


def _generators(k: int, p: int) -> tuple[tuple[int, ...], bool]:
    """Generators of minimum aberration for k factors in 2^(k - p) runs."""
    base = k - p
    if p == 0:
        return (), True
    products = [m for m in range(2**base) if m.bit_count() > 1]
    products = sorted(products, key=lambda m: (m.bit_count(), m))
    if comb(len(products), p) <= MOST_COMPARED:
        return _best(list(combinations(products, p)), base)[0], True
    kept = [(product,) for product in products]
    for _ in range(p - 1):
        wider = {
            tuple(sorted((*each, product)))
            for each in kept
            for product in products
            if product not in each
        }
        kept = _choices(_best(sorted(wider), base), base)
    return _worded(kept[0], base), False


def _best(choices: list[tuple[int, ...]], base: int) -> list[tuple[int, ...]]:
    """Choices in order of aberration, as words; the first is the best."""
    counts = _word_length_counts(np.array(choices), base)
    order = np.lexsort(counts.T[::-1])[:KEPT]
    return [_worded(choices[i], base) for i in order]


def _worded(choice: Sequence[int], base: int) -> tuple[int, ...]:
    return tuple(product | 1 << (base + i) for i, product in enumerate(choice))


def _choices(words: list[tuple[int, ...]], base: int) -> list[tuple[int, ...]]:
    return [tuple(word & (2**base - 1) for word in each) for each in words]


def _word_length_counts(choices: np.ndarray, base: int) -> np.ndarray:
    """Words of length 1, 2, 3, ... in the defining relation of each choice."""
    words = np.zeros((len(choices), 1), dtype=np.int64)
    for i, product in enumerate(choices.T):
        words = np.hstack([words, words ^ (product | 1 << (base + i))[:, None]])
    lengths = np.bitwise_count(words[:, 1:])
    most = base + choices.shape[1]
    return np.stack([(lengths == i).sum(axis=1) for i in range(1, most + 1)], axis=1)


def _relation(words: Sequence[int], k: int) -> list[int]:
    """All products of the defining words."""
    products = [0]
    for word in words:
        products += [each ^ word for each in products]
    return products[1:]


def _signs(base: int, words: Sequence[int]) -> np.ndarray:
    """Levels -1 and 1 in standard order, (runs, factors): the first changes fastest."""
    run = np.arange(2**base)
    basic = np.stack([np.where(run >> i & 1, 1, -1) for i in range(base)], axis=1)
    made = [basic[:, [i for i in range(base) if word >> i & 1]].prod(axis=1) for word in words]
    return np.column_stack([basic, *made])


def _word(word: int) -> str:
    return "".join(LETTERS[i] for i in range(word.bit_length()) if word >> i & 1)


def _by_length(words: Sequence[int]) -> list[int]:
    return sorted(words, key=lambda word: (word.bit_count(), _word(word)))


def _chains(relation: Sequence[int], k: int) -> list[list[int]]:
    """Sets of main effects and pairs that are one and the same column."""
    effects = _by_length(
        [1 << i for i in range(k)] + [1 << i | 1 << j for i, j in combinations(range(k), 2)]
    )
    left, chains = set(effects), []
    for effect in effects:
        if effect not in left:
            continue
        chain = _by_length({effect, *(effect ^ word for word in relation)} & left)
        left -= set(chain)
        if len(chain) > 1:
            chains.append(chain)
    return chains


# --- Blocks and order -----------------------------------------------------------------------------


def _blocks(signs, relation, k: int, blocks: int, replicates: int):
    """Block of each combination within a replicate, and what is mixed with blocks."""
    if blocks == 1 or replicates % blocks == 0:
        return np.zeros(len(signs), dtype=int), ()
    number = log2(blocks)
    if number != int(number) or blocks > len(signs) // 2:
        raise Problem(
            f"{len(signs)} combinations made {replicates} times cannot be spread over {blocks}"
            " blocks.",
            f"give a divisor of the replicates, or a power of two up to {len(signs) // 2}.",
        )
    base = int(log2(len(signs)))
    columns = [m for m in range(1, 2**base) if m.bit_count() > 1]
    best = min(
        combinations(columns, int(number)) if comb(len(columns), int(number)) <= MOST_COMPARED
        else [tuple(columns[-int(number):])],
        key=lambda chosen: _mixing(chosen, relation, k),
    )  # fmt: skip
    place = sum(
        (signs[:, [i for i in range(base) if m >> i & 1]].prod(axis=1) > 0) * 2**j
        for j, m in enumerate(best)
    )
    if len(np.unique(place)) < blocks:
        raise Problem(
            f"{blocks} blocks are too many for {len(signs)} combinations.", "take fewer blocks."
        )
    lost = [word for word in _mixed_with(best, relation) if word.bit_count() < 3]
    return np.asarray(place), tuple(_word(word) for word in _by_length(lost))


def _mixed_with(chosen: Sequence[int], relation: Sequence[int]) -> set[int]:
    """Every word whose column is that of a difference between blocks."""
    products = _relation(chosen, 0)
    return {product ^ word for product in products for word in (0, *relation)}


def _mixing(chosen: Sequence[int], relation: Sequence[int], k: int) -> tuple:
    lengths = [word.bit_count() for word in _mixed_with(chosen, relation)]
    return tuple(lengths.count(i) for i in range(k + 1)), tuple(-m for m in chosen)


def _laid_out(signs, parts, levels, replicates, centre_points, blocks, rng) -> pd.DataFrame:
    """All runs in random order within blocks."""
    size = len(signs)
    by_replicate = blocks > 1 and replicates % blocks == 0
    frames = []
    for again in range(replicates):
        frame = pd.DataFrame({"standard_order": np.arange(1, size + 1)})
        frame["block"] = (again % blocks if by_replicate else parts) + 1
        frame["replicate"], frame["centre"] = again + 1, False
        for i, (name, (low, high)) in enumerate(levels.items()):
            frame[name] = np.where(signs[:, i] > 0, high, low)
        frames.append(frame)
    each = -(-centre_points // blocks) if centre_points else 0
    middle = {name: (pair[0] + pair[1]) / 2 for name, pair in levels.items() if each}
    frames += [
        pd.DataFrame(
            [{"standard_order": 0, "block": b + 1, "replicate": i + 1, "centre": True, **middle}]
        )
        for b in range(blocks)
        for i in range(each)
    ]
    table = pd.concat(frames, ignore_index=True)
    table = table.iloc[rng.permutation(len(table))].sort_values("block", kind="stable")
    table = table.assign(result=np.nan).reset_index(drop=True)
    table.insert(0, "run_order", np.arange(1, len(table) + 1))
    return table


# --- The analysis ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FactorialEffects(Finding):
    """What each change did, and what each estimate is mixed with.

    Attributes
    ----------
    table : DataFrame, one row per effect, largest first
        ``effect`` (names joined by ' x '); ``letters``; ``order``, number of factors;
        ``estimate, low, high``: mean result at the high level less that at the low level, of an
        interaction half of the difference of such differences; ``stands_out``, beyond the margin
        for all effects at once; ``mixed_with``, other main effects and pairs in the same estimate;
        ``note``.
    response, unit, error_from : str
        ``error_from``: 'repeated runs', 'effects left out' or 'the small effects' (Lenth).
    standard_error, degrees_of_freedom : float
        Of one effect (Lenth: the pseudo standard error, m / 3 in name only); where the plan is
        broken, the largest of them.
    margin, margin_all : float
        Half the interval of one effect; the margin for all at once, beyond which any effect by
        chance alone is as rare as the level says.
    mean : float
    curvature, curvature_low, curvature_high : float
        Mean of the corners less that of the middle; NaN without runs in the middle.
    runs, missing, factors : int
    broken : bool
        Whether runs are missing, so that effects overlap and least squares parts them.
    confidence : float
    """

    response: str
    unit: str
    error_from: str
    standard_error: float
    degrees_of_freedom: float
    margin: float
    margin_all: float
    mean: float
    curvature: float
    curvature_low: float
    curvature_high: float
    runs: int
    missing: int
    factors: int
    broken: bool
    confidence: float

    def sentence(self) -> str:
        rest = [self._basis(), self._broken(), self._aliases(), self._bend(), self._trust()]
        return f"{self._answer()}\n{' '.join(filter(None, rest))}"

    def _answer(self) -> str:
        out = self.table[self.table["stands_out"]]
        if out.empty:
            top = self.table.iloc[0]
            return (
                f"No effect on {self.response} stands out of chance; the largest is"
                f" {top['effect']}, {self._spelt(top)}."
            )
        told = [f"{row['effect']} {self._spelt(row)}" for _, row in out.head(2).iterrows()]
        more = f" and {len(out) - 2} more" if len(out) > 2 else ""
        stand = "stands" if len(out) == 1 else "stand"
        return (
            f"{len(out)} of {counted(len(self.table), 'effect')} on {self.response} {stand} out of"
            f" chance: {'; '.join(told)}{more}."
        )

    def _spelt(self, row) -> str:
        digits = digits_for(row["low"], row["high"])
        return spell(
            row["estimate"], row["low"], row["high"], confidence=self.confidence, digits=digits,
            unit=self.unit,
        )  # fmt: skip

    def _basis(self) -> str:
        how = {
            "repeated runs": f"runs made more than once ({self.degrees_of_freedom:.0f} degrees of"
            " freedom)",
            "effects left out": "the interactions that were left out"
            f" ({counted(int(self.degrees_of_freedom), 'degree')} of freedom)",
            "the small effects": "the small effects themselves (Lenth's pseudo standard error),"
            " which presumes that most changes do nothing; where several do something, these"
            " intervals are wider than they need be",
        }[self.error_from]
        return (
            f"It rests on {counted(self.runs, 'run')} of {counted(self.factors, 'factor')}; an"
            " effect is the mean result at the high level less that at the low level, and chance is"
            f" judged from {how}. To stand out an effect must pass the margin for all of them at"
            f" once, so that in {(1 - self.confidence) * 100:.3g} % of trials in which nothing"
            " matters some effect does."
        )

    def _broken(self) -> str:
        if not self.broken:
            return ""
        return (
            f"The plan is broken ({counted(self.missing, 'run')} without a result, or levels not"
            " balanced): effects overlap, least squares parts those that can be parted, and each"
            " has a margin of its own."
        )

    def _aliases(self) -> str:
        mixed = self.table[self.table["mixed_with"] != ""]
        if mixed.empty:
            return ""
        said = [f"{row.letters} with {row.mixed_with}" for row in mixed.itertuples()]
        return (
            f"Estimates that are sums of several effects: {listed(said, most=8, apart='; ')};"
            " the name given is the simplest, not the proven one."
        )

    def _bend(self) -> str:
        if np.isnan(self.curvature):
            return ""
        digits = digits_for(self.curvature_low, self.curvature_high)
        spelt = spell(
            self.curvature, self.curvature_low, self.curvature_high, confidence=self.confidence,
            digits=digits, unit=self.unit,
        )  # fmt: skip
        bent = self.curvature_low > 0 or self.curvature_high < 0
        return (
            f"The corners lie above the middle by {spelt}:"
            f" {'the way between the levels is bent' if bent else 'no bend is shown'}."
        )

    def _trust(self) -> str:
        return (
            "It speaks of these levels only, and of runs made in random order; try the best setting"
            " again before it is trusted."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        size = self.table["estimate"].abs().to_numpy()
        order = np.argsort(size, kind="stable")
        place = stats.norm.ppf(0.5 + 0.5 * (np.arange(len(size)) + 0.5) / len(size))
        for q, i in zip(place, order, strict=True):
            out = bool(self.table["stands_out"].iloc[i])
            kind = "other" if out else "usual"
            ax.plot(size[i], q, look.MARKER[kind], color=look.MEANING[kind], ms=6)
            if out or size[i] > self.margin:
                name = look.shorten(self.table["effect"].iloc[i], width=28)
                ax.annotate(name, (size[i], q), xytext=(-6, 4), textcoords="offset points",
                            ha="right", fontsize="small")  # fmt: skip
        for value, style, label in (
            (self.margin, "--", "margin for one effect"),
            (self.margin_all, "-", "margin for all at once"),
        ):
            ax.axvline(value, color=look.MEANING["limit"], ls=style, lw=1, label=label)
        ax.set_xlim(left=0)
        ax.legend(frameon=False, fontsize="small", loc="lower right")
        unit = f" ({self.unit})" if self.unit else ""
        return look.label(
            ax,
            title=f"Which changes move {self.response} more than chance?",
            x=f"size of the effect{unit}, {self.confidence * 100:.4g}% margins",
            y="half-normal quantile",
        )


def factorial_effects(
    results: pd.DataFrame,
    *,
    factors: Mapping[str, Sequence],
    response: str = "result",
    unit: str = "",
    block: str = "",
    largest: int | None = None,
    confidence: float = 0.95,
) -> FactorialEffects:
    """Estimate what each change did, with its interval and what it is mixed with.

    Parameters
    ----------
    results : DataFrame, one row per run
        One column per factor, at its low or high level (or in the middle), and the result; a run
        without a result is blank there.
    factors : dict of str to [low, high]
    response : str
        Column of the result.
    unit : str
    block : str
        Column of blocks, empty for none; what is mixed with blocks is left out.
    largest : int, optional
        Interactions of more factors than this are taken as chance and judge the others; all that
        can be estimated are kept if not given.
    confidence : float, default 0.95

    Returns
    -------
    FactorialEffects

    Raises
    ------
    Refusal
        If results never vary, or there are too few runs to estimate and judge the main effects.
    Problem
        If a level is none of the two, or a result is no number.

    Notes
    -----
    With repeated runs the error is theirs (corners and middle pooled) and intervals are Student's.
    Without, s0 = 1.5 median |effect| and the pseudo standard error is 1.5 times the median of those
    below 2.5 s0 [1]_, with critical values simulated for as many effects of which none matters
    [2]_: for 7 effects 2.30 for one and 4.87 for all, where Lenth's t of m / 3 degrees would have
    3.76 and 9.01.  Where several effects matter these intervals are conservative.  Elsewhere the
    margin for all at once has the level (1 + confidence^(1 / m)) / 2.  Where runs are missing, main
    effects, then pairs, then the rest enter a least-squares fit as long as they can be told from
    those before.

    References
    ----------
    .. [1] Lenth, R. V. (1989). Quick and easy analysis of unreplicated factorials. Technometrics
       31, 469-473. doi:10.1080/00401706.1989.10488595
    .. [2] Ye, K. Q., Hamada, M. (2000). Critical values of the Lenth method for unreplicated
       factorial designs. Journal of Quality Technology 32, 57-66.
       doi:10.1080/00224065.2000.11979971

    Examples
    --------
    1, 3, 2, 8 in standard order: (3 + 8) / 2 - (1 + 2) / 2 = 4 for the first factor; their
    interaction, 2, judges them.

    >>> runs = pd.DataFrame({"a": [0, 1, 0, 1], "b": [0, 0, 1, 1], "result": [1.0, 3, 2, 8]})
    >>> found = factorial_effects(runs, factors={"a": [0, 1], "b": [0, 1]}, largest=1)
    >>> found.table[["effect", "estimate"]].round(6).values.tolist(), round(found.standard_error, 6)
    ([['a', 4.0], ['b', 3.0]], 2.0)
    """
    need_share(confidence, name="confidence")
    levels = _levels(factors, 0)
    runs = _read(results, levels, response, block)
    corners, middle = runs.corners, runs.middle
    effects = _estimable(corners, runs.blocks, len(levels), largest)
    fit = _fitted(effects, runs, confidence)
    for fewer in (2, 1):  # a broken plan without repeated runs leaves nothing to judge by
        if fit is None and largest is None:
            effects = _estimable(corners, runs.blocks, len(levels), fewer)
            fit = _fitted(effects, runs, confidence)
    if fit is None:
        raise _nothing_left()
    rows = [_effect_row(fit, effects, i, list(levels)) for i in range(len(effects.words))]
    table = pd.DataFrame(rows)
    size = table["estimate"].abs()
    table = table.iloc[np.argsort(-size.to_numpy(), kind="stable")].reset_index(drop=True)
    return FactorialEffects(
        table=table,
        response=response,
        unit=unit,
        error_from=fit.error_from,
        standard_error=float(fit.errors.max()),
        degrees_of_freedom=fit.degrees,
        margin=float(fit.quantile * fit.errors.max()),
        margin_all=float(fit.quantile_all * fit.errors.max()),
        mean=float(runs.y_corners.mean()),
        **_curvature(runs, fit),
        runs=len(corners) + len(middle),
        missing=runs.missing,
        factors=len(levels),
        broken=effects.broken,
        confidence=confidence,
    )


@dataclass(frozen=True, eq=False)
class _Runs:
    corners: np.ndarray  # (runs, factors), -1 and 1
    y_corners: np.ndarray
    blocks: np.ndarray  # (runs,), codes
    middle: np.ndarray  # results in the middle
    middle_blocks: np.ndarray
    missing: int


def _read(results: pd.DataFrame, levels, response: str, block: str) -> _Runs:
    columns = [*levels, response, *filter(None, [block])]
    need_columns(results, columns, source="The table of results")
    if not pd.api.types.is_numeric_dtype(results[response]):
        raise Problem(f"{response!r} does not hold numbers.", "give one number per run.")
    y = results[response].to_numpy(dtype=float, na_value=np.nan)
    signs = np.column_stack([_coded(results[name], pair) for name, pair in levels.items()])
    centre = (signs == 0).all(axis=1)
    if ((signs == 0).any(axis=1) & ~centre).any():
        raise Problem(
            "A run has some factors in the middle and others not.",
            "centre points are in the middle of all factors.",
        )
    given = np.isfinite(y)
    codes = pd.factorize(results[block], sort=True)[0] if block else np.zeros(len(y), dtype=int)
    here = given & ~centre
    if here.sum() < 3 or np.ptp(y[here]) == 0:
        raise Refusal(
            f"{int(here.sum())} runs have a result"
            f"{', all the same' if here.sum() > 1 else ''}: nothing can be told from them.",
            "make the runs of the plan, and measure the result finely enough.",
        )
    return _Runs(
        corners=signs[here],
        y_corners=y[here],
        blocks=codes[here],
        middle=y[given & centre],
        middle_blocks=codes[given & centre],
        missing=int((~given).sum()),
    )


def _coded(values: pd.Series, pair: tuple) -> np.ndarray:
    """Levels as -1 and 1, the middle as 0."""
    low, high = pair
    if all(_is_number(level) for level in pair):
        if not pd.api.types.is_numeric_dtype(values):
            raise Problem(f"{values.name!r} does not hold numbers.", f"its levels are {pair}.")
        coded = (values.to_numpy(dtype=float) - (low + high) / 2) / ((high - low) / 2)
        coded = np.round(coded, 9)
    else:
        text = values.astype("str")
        coded = np.where(text.eq(str(high)), 1.0, np.where(text.eq(str(low)), -1.0, np.nan))
    wrong = ~np.isin(coded, [-1, 0, 1])
    if wrong.any():
        raise Problem(
            f"{values.name!r} has {int(wrong.sum())} runs at another level than {low} and {high}"
            f" (for example {values[wrong].iloc[0]!r}).",
            "give the levels that were set; a run at another level is no run of this plan.",
        )
    return coded


@dataclass(frozen=True, eq=False)
class _Effects:
    words: list[int]  # the simplest name of each column that can be told apart
    columns: np.ndarray  # (runs, effects), -1 and 1
    mixed: list[list[int]]  # other main effects and pairs in the same estimate
    nuisance: np.ndarray  # mean and blocks, (runs, ...)
    broken: bool


def _all_words(k: int, largest: int) -> list[int]:
    return [
        sum(1 << i for i in chosen)
        for size in range(1, largest + 1)
        for chosen in combinations(range(k), size)
    ]


def _column(signs: np.ndarray, word: int) -> np.ndarray:
    return signs[:, [i for i in range(signs.shape[1]) if word >> i & 1]].prod(axis=1)


def _estimable(signs: np.ndarray, blocks: np.ndarray, k: int, largest: int | None) -> _Effects:
    """Main effects first, then pairs and so on, as long as each can be told from those before."""
    nuisance = np.column_stack([np.ones(len(signs)), *_dummies(blocks)])
    basis, _ = np.linalg.qr(nuisance)
    words, columns, kept, overlap = [], [], [], 0.0
    room = len(np.unique(np.column_stack([signs, blocks]), axis=0)) - nuisance.shape[1]
    for word in _all_words(k, min(k if largest is None else largest, k)):
        if len(words) == room and word.bit_count() > 2:
            break
        column = _column(signs, word)
        same = _same(column, columns)
        if same is not None:
            kept[same].append(word)
            continue
        left = column - basis @ (basis.T @ column)
        share = left @ left / len(signs)
        if share < LEAST_OWN:
            continue
        basis = np.column_stack([basis, left / np.sqrt(left @ left)])
        words, columns, kept = [*words, word], [*columns, column], [*kept, []]
        overlap = max(overlap, 1 - share)
    missing = [i for i in range(k) if not any(w == 1 << i for w in words)]
    if missing:
        raise Refusal(
            f"{len(missing)} of {k} main effects cannot be told apart from others in these runs:"
            f" factor {LETTERS[missing[0]]} first.",
            "make the runs that are missing, or leave out a factor.",
        )
    mixed = [[word for word in others if word.bit_count() < 3] for others in kept]
    return _Effects(words, np.column_stack(columns), mixed, nuisance, bool(overlap > 1e-9))


def _dummies(blocks: np.ndarray) -> list[np.ndarray]:
    return [(blocks == each).astype(float) for each in np.unique(blocks)[1:]]


def _same(column: np.ndarray, columns: list[np.ndarray]) -> int | None:
    for i, other in enumerate(columns):
        if abs(column @ other) == len(column):
            return i
    return None


@dataclass(frozen=True, eq=False)
class _Fit:
    estimates: np.ndarray
    errors: np.ndarray
    error_from: str
    degrees: float
    quantile: float
    quantile_all: float
    sigma: float


def _fitted(effects: _Effects, runs: _Runs, confidence: float) -> _Fit | None:
    """Least squares, and an error from repeated runs, effects left out, or small effects."""
    design = np.column_stack([effects.nuisance, effects.columns])
    b, *_ = np.linalg.lstsq(design, runs.y_corners, rcond=None)
    first = effects.nuisance.shape[1]
    estimates = 2 * b[first:]
    per_sigma = 2 * np.sqrt(np.diag(linalg.pinvh(design.T @ design))[first:])
    total, degrees = _pure_error(runs)
    how = "repeated runs"
    if degrees == 0:
        how, degrees = "effects left out", len(design) - design.shape[1]
        total = float(((runs.y_corners - design @ b) ** 2).sum())
    if degrees == 0:
        return None if effects.broken else _lenth(estimates, confidence)
    if not total > 1e-18 * float((runs.y_corners**2).sum()):
        raise Refusal(
            "What chance is judged from is exactly nought: repeated runs gave the same result.",
            "measure the result more finely, or repeat whole runs and not readings of one.",
        )
    sigma = np.sqrt(total / degrees)
    m, tails = len(estimates), np.array([confidence, confidence ** (1 / len(estimates))])
    one, every = stats.t.ppf((1 + tails) / 2, degrees) if m else (np.nan, np.nan)
    return _Fit(estimates, sigma * per_sigma, how, float(degrees), one, every, float(sigma))


def _pure_error(runs: _Runs) -> tuple[float, int]:
    """What combinations (the middle is one) and blocks do not explain: squares and degrees."""
    signs = np.vstack([runs.corners, np.zeros((len(runs.middle), runs.corners.shape[1]))])
    _, code = np.unique(signs, axis=0, return_inverse=True)
    cells = (code.ravel()[:, None] == np.arange(code.max() + 1)).astype(float)
    design = np.column_stack([cells, *_dummies(np.r_[runs.blocks, runs.middle_blocks])])
    y = np.r_[runs.y_corners, runs.middle]
    b, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    return float(((y - design @ b) ** 2).sum()), len(y) - int(rank)


def _lenth(estimates: np.ndarray, confidence: float) -> _Fit:
    m = len(estimates)
    if m < FEWEST_EFFECTS:
        raise _nothing_left()
    error = float(_pseudo_error(np.abs(estimates)[None, :])[0])
    if not error > 0:
        raise Refusal(
            "Most effects are exactly nought, so chance cannot be judged from the small ones.",
            "repeat some runs.",
        )
    one, every = _critical(m, confidence)
    return _Fit(estimates, np.full(m, error), "the small effects", m / 3, one, every, np.nan)


def _nothing_left() -> Refusal:
    return Refusal(
        "There are no repeated runs, and too few effects are left over to judge chance by.",
        "repeat some runs, add runs in the middle, or name `largest` so that high interactions"
        " judge the others.",
    )


def _pseudo_error(size: np.ndarray) -> np.ndarray:
    """Lenth's pseudo standard error of each row of absolute effects."""
    limit = 2.5 * 1.5 * np.median(size, axis=1, keepdims=True)
    small = np.where(size < limit, size, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row of noughts has no small effect
        return 1.5 * np.nan_to_num(np.nanmedian(small, axis=1))


@lru_cache
def _critical(m: int, confidence: float) -> tuple[float, float]:
    """Critical values of effect over pseudo error, of one effect and of the largest of m.

    Constants, worked out by simulation from a seed of their own.
    """
    size = np.abs(np.random.default_rng(m).standard_normal((SIMULATED, m)))
    ratio = size / _pseudo_error(size)[:, None]
    return float(np.quantile(ratio, confidence)), float(np.quantile(ratio.max(axis=1), confidence))


def _effect_row(fit: _Fit, effects: _Effects, i: int, names: list[str]) -> dict:
    word, estimate, half = effects.words[i], fit.estimates[i], fit.quantile * fit.errors[i]
    return {
        "effect": " x ".join(names[j] for j in range(len(names)) if word >> j & 1),
        "letters": _word(word),
        "order": word.bit_count(),
        "estimate": float(estimate),
        "low": float(estimate - half),
        "high": float(estimate + half),
        "stands_out": bool(abs(estimate) > fit.quantile_all * fit.errors[i]),
        "mixed_with": ", ".join(_word(other) for other in effects.mixed[i]),
        "note": "" if not effects.mixed[i] else "a sum of several effects",
    }


def _curvature(runs: _Runs, fit: _Fit) -> dict[str, float]:
    nothing = dict.fromkeys(("curvature", "curvature_low", "curvature_high"), np.nan)
    if not len(runs.middle):
        return nothing
    found = float(runs.y_corners.mean() - runs.middle.mean())
    if np.isnan(fit.sigma):  # Lenth: an effect's error is 2 sigma / sqrt(runs)
        sigma = float(fit.errors[0]) * np.sqrt(len(runs.corners)) / 2
    else:
        sigma = fit.sigma
    half = fit.quantile * sigma * np.sqrt(1 / len(runs.corners) + 1 / len(runs.middle))
    return {"curvature": found, "curvature_low": found - half, "curvature_high": found + half}
