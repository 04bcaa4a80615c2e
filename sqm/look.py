"""How every picture in the house looks; colours stand for meanings."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from textwrap import fill

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

MEANING = {
    "usual": "#4c5b66",
    "better": "#1b7f79",
    "worse": "#c8553d",
    "limit": "#9aa4ab",
    "other": "#7d6b91",
}

# From worse over neither to better, for a table of shades; the figures stand in it too.
WORSE_TO_BETTER = LinearSegmentedColormap.from_list(
    "worse_to_better", ["#e8b4a8", "#f3f4f5", "#a9d3cf"]
)

TITLE_LETTERS, AXIS_LETTERS = 54, 64  # in a line
SHORT_NAME = 20  # letters of a name beside the picture that leave that room
ROW_HEIGHT, ROWS_AT_EASE = 0.2, 15  # inches that a row takes, rows that the usual picture holds

# Better and worse are told by shape too, for print and for eyes that do not part the two colours.
MARKER = {"usual": "o", "better": "^", "worse": "v", "limit": "s", "other": "D"}

# Signs that no letter stands for and that no XML may hold; a picture with one would not open.
UNDRAWN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

# The first of these that the machine has draws Chinese.  None is shipped.
FONTS = [
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
]

STYLE = {
    "axes.prop_cycle": cycler(color=[MEANING["usual"], MEANING["other"], MEANING["better"]]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.dpi": 96,
    "figure.figsize": (7.2, 3.8),
    "font.size": 10.0,
    "svg.hashsalt": "sqm",  # the same picture is then the same bytes
    "text.parse_math": False,  # a customer's dollar sign is not mathematics
}


def apply() -> None:
    """Give this notebook's pictures the look of the house."""
    mpl.rcParams.update(STYLE)
    pd.set_option("display.html.use_mathjax", False)  # nor is it mathematics in a table
    have = {font.name for font in mpl.font_manager.fontManager.ttflist}
    mpl.rcParams["font.family"] = [font for font in FONTS if font in have]
    # a letter without a font is told when the picture is kept, not in the middle of a notebook
    warnings.filterwarnings("ignore", message="Glyph .* missing from font")


def axes(ax: Axes | None) -> Axes:
    """The axes to draw on: the caller's, or the current ones."""
    return plt.gca() if ax is None else ax


def label(ax: Axes, *, title: str, x: str = "", y: str = "") -> Axes:
    """Name the picture by its question and each axis by its quantity and unit.

    What is too long for a line beside long names goes on in a second one.
    """
    title, x, y = map(_whole_letters, (title, x, y))
    ax.set(title=fill(title, TITLE_LETTERS), xlabel=fill(x, _letters_below(ax)), ylabel=y)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _letters_below(ax: Axes) -> int:
    """Letters in a line of the x axis: long names beside the picture leave it less room."""
    if not isinstance(ax.yaxis.get_major_locator(), FixedLocator):
        return AXIS_LETTERS  # numbers or dates
    longest = max((len(name.get_text()) for name in ax.get_yticklabels()), default=0)
    return AXIS_LETTERS - max(0, min(longest, 2 * SHORT_NAME) - SHORT_NAME)


def dots(
    ax: Axes, table: pd.DataFrame, *, names: Sequence[str], meaning: Sequence[str] | None = None
) -> Axes:
    """Draw one row per estimate, first row on top, its interval as a line.

    A picture that holds nothing else grows with the number of rows.

    Parameters
    ----------
    table : DataFrame
        Columns ``estimate``, ``low``, ``high``.
    names : sequence of str, one a row
        What stands at the left.
    meaning : sequence of str, one a row, optional
        A key of ``MEANING`` for each row; ``usual`` if not given.
    """
    if not len(table):
        ax.text(0.5, 0.5, "nothing can be shown", transform=ax.transAxes, ha="center")
        ax.set(xticks=[], yticks=[])
        return ax
    rows = np.arange(len(table))
    meaning = ["usual"] * len(table) if meaning is None else list(meaning)
    for row, what, (_, each) in zip(rows, meaning, table.iterrows(), strict=True):
        colour = MEANING[what]
        ax.plot([each["low"], each["high"]], [row, row], color=colour, lw=1.6)
        ax.plot(each["estimate"], row, marker=MARKER[what], color=colour, ms=6)
    _make_room(ax, len(table))
    ax.set_yticks(rows, [shorten(str(name)) for name in names])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.grid(axis="x", color="#e3e6e8", lw=0.8)
    ax.set_axisbelow(True)
    return ax


def _make_room(ax: Axes, rows: int) -> None:
    more = ROW_HEIGHT * (rows - ROWS_AT_EASE)
    if more > 0 and len(ax.figure.axes) == 1:
        width, height = mpl.rcParams["figure.figsize"]
        ax.figure.set_size_inches(width, height + more)


def dates(ax: Axes) -> Axes:
    """Write the dates of the x axis so that they leave room for each other."""
    locator = AutoDateLocator(maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return ax


def shorten(text: str, *, width: int = 44) -> str:
    """Cut a long name so that it leaves room for the picture; line breaks become blanks."""
    text = " ".join(_whole_letters(text).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _whole_letters(text: str) -> str:
    """The text with a sign in place of half a letter, which nothing can draw."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def svg(figure: Figure) -> tuple[bytes, list[str]]:
    """Write a picture as SVG without a date, and name the characters no font here can draw."""
    page = io.BytesIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(page, format="svg", metadata={"Date": None, "Creator": None})
    missing = sorted({str(w.message) for w in caught if "missing from" in str(w.message)})
    return UNDRAWN.sub("\ufffd", page.getvalue().decode("utf-8")).encode("utf-8"), missing
