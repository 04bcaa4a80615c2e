"""How does a text fit into a box of a picture?"""

from __future__ import annotations

import textwrap
import unicodedata
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from sqm import look


def canvas(ax: Axes, *, title: str) -> None:
    """Clear the axes for boxes, and settle the layout so that their size is known."""
    look.label(ax, title=title)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_axis_off()
    settle(ax)


def draw(
    ax: Axes, text: str, box: Bbox, *, size: float, filled: bool = False, top: bool = False
) -> None:
    """Draw a box with its text, cut off where even small letters leave no room."""
    shown = fitted(ax, text, box, size)
    edge, face = look.MEANING["usual"], "#e3e6e8" if filled else "white"
    ax.add_patch(Rectangle(box.p0, box.width, box.height, ec=edge, fc=face, lw=0.9, clip_on=False))
    wide, high = points(ax)
    ax.text(
        box.x0 + 4 / wide,
        box.y1 - 5 / high if top else (box.y0 + box.y1) / 2,
        "\n".join(shown),
        size=size,
        va="top" if top else "center",
        linespacing=1.15,
        parse_math=False,
    )


def fitted(ax: Axes, text: str, box: Bbox, size: float, *, above: int = 0) -> list[str]:
    """The lines of a text that its box has room for, ``above`` of them taken; a cut is shown."""
    broken, most = lines(ax, text, box, size), max(room(ax, box, size) - above, 1)
    if len(broken) > most:
        return [*broken[: most - 1], f"{broken[most - 1][:-1]}…"]
    return broken


def settle(ax: Axes) -> None:
    """Settle the layout of the figure, so that the size of the axes is known."""
    with warnings.catch_warnings(action="ignore"):  # letters without a font: told when it is kept
        ax.get_figure(root=True).draw_without_rendering()


def text_size(ax: Axes, boxes: Sequence[tuple[str, Bbox]]) -> float:
    """Largest letters, in points, at which every text fits its box without a broken word."""
    for size in np.arange(9.0, 4.0, -0.5):
        if all(_fits(ax, text, box, size) for text, box in boxes):
            return float(size)
    return 4.0


def _fits(ax: Axes, text: str, box: Bbox, size: float) -> bool:
    words = [word for word in text.replace("\n", " ").split(" ") if not _wide(word)]
    whole = max(map(len, words), default=0) <= _letters(ax, "", box, size)
    return whole and len(lines(ax, text, box, size)) <= room(ax, box, size)


def lines(ax: Axes, text: str, box: Bbox, size: float) -> list[str]:
    """Break a text to the width of its box."""
    parts = [textwrap.wrap(part, _letters(ax, part, box, size)) for part in text.split("\n")]
    return [line for part in parts for line in part or [""]]


def _letters(ax: Axes, text: str, box: Bbox, size: float) -> int:
    """How many letters of this text a line of the box holds; Chinese ones are wider."""
    each = size * (1.05 if _wide(text) else 0.6)  # on a screen a letter fills whole pixels
    return max(int((box.width * points(ax)[0] - 8) / each), 2)


def _wide(text: str) -> bool:
    return any(unicodedata.east_asian_width(letter) in "WF" for letter in text)


def room(ax: Axes, box: Bbox, size: float) -> int:
    """How many lines the box holds."""
    return int((box.height * points(ax)[1] - 4) / (1.4 * size))


def points(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes in points."""
    inches, place = ax.get_figure(root=True).get_size_inches(), ax.get_position()
    return inches[0] * 72 * place.width, inches[1] * 72 * place.height
