"""What is this project about, and where does the process begin and end?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from sqm import boxes, look
from sqm.checks import Problem, nearest
from sqm.finding import Finding

SIPOC = ("suppliers", "inputs", "process", "outputs", "customers")


@dataclass(frozen=True, eq=False)
class Charter(Finding):
    """What a project has agreed to do.

    Attributes
    ----------
    table : DataFrame
        The SIPOC, a column each for ``suppliers``, ``inputs``, ``process``,
        ``outputs`` and ``customers``; shorter columns end in empty text.  What
        stands in one row need not belong together.
    problem, goal, scope, sponsor : str
        In words, empty where nobody has written them yet.
    team : tuple of str
    blank : tuple of str
        What is still to be written.
    """

    problem: str
    goal: str
    scope: str
    sponsor: str
    team: tuple[str, ...]
    blank: tuple[str, ...]

    def sentence(self) -> str:
        said = [
            f"{name}: {_full_stop(text)}"
            for name, text in zip(
                ("Problem", "Goal", "Scope", "Sponsor", "Team"),
                (self.problem, self.goal, self.scope, self.sponsor, ", ".join(self.team)),
                strict=True,
            )
            if text
        ]
        left = f"Still blank: {', '.join(self.blank)}." if self.blank else "Nothing is left blank."
        return " ".join([*said, left])

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        boxes.canvas(ax, title="Where does the process begin and end?")
        texts = [
            "\n".join(f"·\N{NO-BREAK SPACE}{each}" for each in self.table[name] if each)
            for name in SIPOC
        ]
        bodies = [Bbox.from_bounds(i * 0.205, 0.0, 0.18, 0.86) for i in range(len(SIPOC))]
        size = boxes.text_size(ax, list(zip(texts, bodies, strict=True)))
        for i, (name, text, body) in enumerate(zip(SIPOC, texts, bodies, strict=True)):
            head = Bbox.from_extents(body.x0, body.y1, body.x1, 1.0)
            boxes.draw(ax, name.capitalize(), head, size=9.0, filled=True)
            boxes.draw(ax, text, body, size=size, top=True)
            if i:
                ax.annotate(
                    "",
                    xy=(body.x0, 0.93),
                    xytext=(body.x0 - 0.025, 0.93),
                    arrowprops={"arrowstyle": "-|>", "color": look.MEANING["usual"]},
                )
        return ax


def charter(
    *,
    problem: str,
    goal: str,
    scope: str,
    sponsor: str = "",
    team: Sequence[str] = (),
    sipoc: Mapping[str, Sequence[str]],
) -> Charter:
    """Set down what a project is about, and its process from supplier to customer.

    Parameters
    ----------
    problem, goal, scope : str
        What is wrong, what is to be reached and by when, what is in and out.
        May be empty: the sentence says so.
    sponsor : str, optional
    team : sequence of str, optional
    sipoc : mapping
        Lists under any of ``suppliers``, ``inputs``, ``process`` (its steps in
        their order), ``outputs``, ``customers``.

    Returns
    -------
    Charter
        Its ``table`` has shape (longest list, 5).

    Raises
    ------
    Problem
        If the SIPOC has another heading, or a heading holds no list.

    Notes
    -----
    SIPOC: suppliers, inputs, process, outputs, customers [1]_.

    References
    ----------
    .. [1] Pande, P. S., Neuman, R. P., Cavanagh, R. R. (2000). The Six Sigma
       Way. McGraw-Hill.

    Examples
    --------
    >>> found = charter(problem="Calls wait", goal="", scope="All sites", sponsor="A. Gil",
    ...                 team=["B. Ortiz"], sipoc={"process": ["ring", "answer"]})
    >>> found.blank
    ('goal', 'suppliers', 'inputs', 'outputs', 'customers')
    >>> found.table["process"].tolist(), found.table["inputs"].tolist()
    (['ring', 'answer'], ['', ''])
    """
    texts = {
        name: _text(value, name)
        for name, value in [
            ("problem", problem),
            ("goal", goal),
            ("scope", scope),
            ("sponsor", sponsor),
        ]
    }
    members = tuple(_list(team, "team"))
    table = _sipoc_table(sipoc)
    blank = [name for name, text in texts.items() if not text]
    blank += [] if members else ["team"]
    blank += [name for name in SIPOC if not table[name].any()]
    return Charter(table=table, **texts, team=members, blank=tuple(blank))


def _sipoc_table(sipoc: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    for name in sipoc:
        if name not in SIPOC:
            raise Problem(f"The SIPOC has no heading {name!r}.", nearest(name, SIPOC))
    columns = [_list(sipoc.get(name, ()), f"sipoc: {name}") for name in SIPOC]
    rows = list(zip_longest(*columns, fillvalue=""))
    return pd.DataFrame(rows, columns=list(SIPOC), dtype="str")


def _text(value: str, name: str) -> str:
    if not isinstance(value, str):
        raise Problem(f"The charter's {name} is {value!r}, no text.", "put it between quotes.")
    return " ".join(value.split())


def _list(values: Sequence[str], name: str) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise Problem(
            f"The charter's {name} is {values!r}, no list.",
            "write a list, one text an entry, also where there is only one.",
        )
    return [text for text in (_text(each, name) for each in values) if text]


def _full_stop(text: str) -> str:
    return text if text.endswith((".", "!", "?", "。")) else f"{text}."
