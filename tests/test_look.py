"""Pictures: the same bytes each time, nothing read as mathematics, no letter lost in silence."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from sqm import look


@pytest.fixture(autouse=True)
def house():
    """The look of the house, and afterwards what was there before."""
    with mpl.rc_context():
        look.apply()
        yield
    plt.close("all")


@pytest.fixture
def estimates():
    return pd.DataFrame(
        {"estimate": [1.0, 5.0, 3.0], "low": [0.5, 4.0, 2.9], "high": [2.0, 5.5, 3.2]},
        index=[9, 4, 7],
    )


def drawn(title="How late are we?"):
    figure, ax = plt.subplots()
    look.label(ax, title=title, x="Wait (s)", y="Contacts")
    ax.fill_between([0, 1], [0, 1], hatch="//")  # needs names for a pattern and for a clip
    return figure


def test_the_same_picture_is_the_same_bytes():
    (first, _), (second, _) = look.svg(drawn()), look.svg(drawn())
    assert first == second
    assert b"clip-path" in first
    assert b"<dc:date>" not in first
    assert look.svg(drawn("Another question?"))[0] != first


def test_a_picture_without_a_row_says_so(estimates, recwarn):
    ax = look.dots(plt.subplots()[1], estimates.head(0), names=[])
    assert [each.get_text() for each in ax.texts] == ["nothing can be shown"]
    assert not recwarn.list


def test_a_dollar_sign_is_no_mathematics():
    torn = r"Refund $\frac{ of $5 or $6_7$"  # as mathematics this is an error
    figure = drawn(torn)
    figure.axes[0].set_xticks([0, 1], [torn, "$a$"])
    figure.axes[0].plot([0, 1], [0, 1], label=torn)
    figure.axes[0].legend()
    page, missing = look.svg(figure)
    assert page.count(torn.encode()) == 3
    assert missing == []
    with mpl.rc_context({"text.parse_math": True}), pytest.raises(ValueError, match="frac"):
        drawn(torn).savefig(io.BytesIO(), format="svg")


def test_a_letter_that_no_font_here_draws_is_named():
    page, missing = look.svg(drawn("Late \U00013000 late \U00013000?"))
    assert page
    assert len(missing) == 1
    assert "EGYPTIAN HIEROGLYPH A001" in missing[0]


def test_the_machines_font_for_chinese_is_used_if_there_is_one():
    assert mpl.rcParams["font.family"][0] == "DejaVu Sans"
    _, missing = look.svg(drawn("等待时间"))
    assert bool(missing) == (len(mpl.rcParams["font.family"]) == 1)


def test_the_look_is_not_put_on_by_importing():
    with mpl.rc_context():
        mpl.rcdefaults()
        assert mpl.rcParams["svg.hashsalt"] is None


def test_axes_are_the_callers_or_the_current_ones():
    _, mine = plt.subplots()
    _, current = plt.subplots()
    assert look.axes(mine) is mine
    assert look.axes(None) is current


def test_a_picture_says_its_question_and_its_units():
    (ax,) = drawn().axes
    assert (ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()) == (
        "How late are we?",
        "Wait (s)",
        "Contacts",
    )


def test_dots_draw_one_marker_and_one_line_a_row_first_on_top(estimates):
    _, ax = plt.subplots()
    assert look.dots(ax, estimates, names=["a", "b", "c"]) is ax
    lines, markers = ax.lines[::2], ax.lines[1::2]
    assert len(ax.lines) == 6
    assert [list(line.get_xdata()) for line in lines] == [[0.5, 2.0], [4.0, 5.5], [2.9, 3.2]]
    assert [[*m.get_xdata(), *m.get_ydata()] for m in markers] == [[1, 0], [5, 1], [3, 2]]
    assert {line.get_marker() for line in lines} == {"None"}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.yaxis_inverted()


def test_better_and_worse_differ_in_shape_as_well_as_colour(estimates):
    _, ax = plt.subplots()
    look.dots(ax, estimates, names="abc", meaning=["better", "worse", "usual"])
    markers = ax.lines[1::2]
    assert [m.get_marker() for m in markers] == ["^", "v", "o"]
    assert [to_hex(m.get_color()) for m in markers] == [
        look.MEANING[what] for what in ("better", "worse", "usual")
    ]
    assert [line.get_color() for line in ax.lines[::2]] == [m.get_color() for m in markers]


def test_every_meaning_has_its_own_colour_and_shape():
    assert set(look.MARKER) == set(look.MEANING)
    assert len(set(look.MARKER.values())) == len(set(look.MEANING.values())) == len(look.MEANING)


def test_dots_with_a_meaning_too_few_is_a_fault(estimates):
    _, ax = plt.subplots()
    with pytest.raises(ValueError):
        look.dots(ax, estimates, names="abc", meaning=["better"])


def test_a_row_without_an_estimate_leaves_its_place_empty(estimates):
    _, ax = plt.subplots()
    look.dots(ax, estimates.assign(estimate=[1.0, float("nan"), 3.0]), names="abc")
    assert len(ax.lines) == 6
    assert look.svg(ax.figure)[0]


def test_a_long_name_is_cut_to_its_width_and_kept_on_one_line():
    assert look.shorten("a\n b\t c") == "a b c"
    assert look.shorten("x" * 44) == "x" * 44
    assert look.shorten("x" * 45) == "x" * 43 + "…"
    assert len(look.shorten("等待时间" * 9, width=10)) == 10


def test_a_long_list_makes_the_picture_taller_and_a_short_one_does_not():
    table = pd.DataFrame({"estimate": range(40), "low": 0, "high": 41})
    for rows, taller in ((10, False), (40, True)):
        ax = plt.figure(figsize=(7.2, 3.8)).subplots()
        look.dots(ax, table.head(rows), names=[str(i) for i in range(rows)])
        assert (ax.figure.get_figheight() > 3.8) == taller
    both = plt.figure(figsize=(7.2, 3.8)).subplots(1, 2)
    look.dots(both[0], table, names=[str(i) for i in range(40)])
    assert both[0].figure.get_figheight() == pytest.approx(3.8)
    plt.close("all")


def test_a_long_title_goes_on_in_a_second_line():
    ax = plt.figure().subplots()
    look.label(ax, title="Would the answer be another if every group had answered alike?")
    assert ax.get_title(loc="left").count("\n") == 1
    plt.close("all")


def test_long_names_beside_the_picture_leave_the_axis_less_room():
    words = "share of the language's texts (%), 95% interval, the 12 largest of 168 themes"
    lengths = []
    for name in ("short", "a name of forty letters beside the picture"):
        ax = plt.figure().gca()
        ax.set_yticks([0, 1], [name, name])
        look.label(ax, title="How much?", x=words)
        lengths.append(max(len(line) for line in ax.get_xlabel().splitlines()))
    assert lengths[1] <= 44 < lengths[0] <= 64
