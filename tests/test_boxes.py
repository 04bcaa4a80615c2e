"""A text keeps to its box, measured as it is drawn."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.transforms import Bbox

from sqm import boxes, look

TEXTS = {
    "English": "Customers say that they wait too long and that nobody calls back. " * 3,
    "Spanish": "Las personas esperan demasiado y nadie resuelve su reclamación. " * 3,
    "Chinese": "等待时间太长，没有人接听电话，请尽快处理我的投诉。" * 5,
    "mixed": "IVR 系统 transfers 客户 to the wrong 部门 again and again " * 3,
    "lines": "Suppliers:\n- field service\n\n- billing\n" * 4,
    "one long word": "x" * 300,
    "dollars": r"$5 or $\frac{ more " * 6,
}


@pytest.fixture
def ax():
    with mpl.rc_context():
        look.apply()
        _, made = plt.subplots()
        boxes.canvas(made, title="What comes in, what goes out?")
        yield made
    plt.close("all")


def extents(ax):
    """The last box and the last text drawn, in pixels."""
    renderer = ax.figure.canvas.get_renderer()
    return ax.patches[-1].get_window_extent(renderer), ax.texts[-1].get_window_extent(renderer)


@pytest.mark.parametrize("top", [False, True])
@pytest.mark.parametrize("size", [4.0, 6.5, 9.0])
@pytest.mark.parametrize("language", TEXTS)
def test_a_text_stays_inside_its_box(ax, language, size, top):
    for width, height in ((0.15, 0.5), (0.4, 0.2), (0.8, 0.9)):
        boxes.draw(
            ax, TEXTS[language], Bbox.from_bounds(0.1, 0.05, width, height), size=size, top=top
        )
        box, text = extents(ax)
        assert box.x0 <= text.x0, (width, height)
        assert text.x1 <= box.x1, (width, height)
        assert box.y0 <= text.y0, (width, height)
        assert text.y1 <= box.y1, (width, height)


def test_chinese_letters_are_wider(ax):
    box = Bbox.from_bounds(0, 0, 0.3, 0.5)
    latin, chinese = boxes.lines(ax, "x" * 90, box, 9), boxes.lines(ax, "等" * 90, box, 9)
    assert len(chinese[0]) < len(latin[0])
    # a Chinese letter is one em and a Latin one 0.6 em: the lines are as wide, within two letters
    assert abs(len(chinese[0]) - 0.6 * len(latin[0])) <= 2
    assert "".join(chinese) == "等" * 90


def test_all_words_are_kept_where_there_is_room_and_a_cut_is_shown(ax):
    roomy, tight = Bbox.from_bounds(0, 0, 0.9, 0.9), Bbox.from_bounds(0, 0, 0.3, 0.2)
    whole = boxes.fitted(ax, TEXTS["English"], roomy, 6)
    assert " ".join(whole).split() == TEXTS["English"].split()
    cut = boxes.fitted(ax, TEXTS["English"], tight, 6)
    assert cut[-1].endswith("…")
    assert len(cut) == boxes.room(ax, tight, 6)
    assert len(boxes.fitted(ax, TEXTS["English"], tight, 6, above=2)) == len(cut) - 2


def test_something_is_shown_even_where_nothing_fits(ax):
    sliver = Bbox.from_bounds(0, 0, 0.2, 0.001)
    assert len(boxes.fitted(ax, TEXTS["English"], sliver, 9, above=5)) == 1
    assert boxes.fitted(ax, "", sliver, 9) == [""]


def test_empty_lines_are_kept(ax):
    assert boxes.lines(ax, "a\n\nb", Bbox.unit(), 9) == ["a", "", "b"]


def test_letters_are_as_large_as_all_the_texts_allow(ax):
    small, large = Bbox.from_bounds(0, 0, 0.2, 0.15), Bbox.from_bounds(0, 0, 0.9, 0.9)
    said = "waiting for an answer to my request"
    assert boxes.text_size(ax, []) == 9
    assert boxes.text_size(ax, [(said, large)]) == 9
    both = boxes.text_size(ax, [(said, large), (said, small)])
    assert both == boxes.text_size(ax, [(said, small)])
    assert 4 < both < 9
    assert not boxes.fitted(ax, said, small, both)[-1].endswith("…")
    assert boxes.fitted(ax, said, small, both + 0.5)[-1].endswith("…")
    assert boxes.text_size(ax, [(said * 99, small)]) == 4


def test_letters_shrink_rather_than_break_a_word(ax):
    box = Bbox.from_bounds(0, 0, 0.2, 0.9)
    letters = boxes._letters(ax, "", box, 9)
    assert boxes.text_size(ax, [("x" * letters, box)]) == 9
    assert boxes.text_size(ax, [("x" * (letters + 1), box)]) < 9
    assert boxes.text_size(ax, [("等" * (letters + 1), box)]) == 9  # Chinese breaks anywhere


def test_the_size_in_points_is_that_of_the_drawn_axes(ax):
    drawn = ax.get_window_extent()
    assert boxes.points(ax) == pytest.approx(
        np.array([drawn.width, drawn.height]) * 72 / ax.figure.dpi
    )


def test_a_box_is_filled_only_if_asked(ax):
    boxes.draw(ax, "a", Bbox.unit(), size=9)
    assert ax.patches[-1].get_facecolor() == (1, 1, 1, 1)
    boxes.draw(ax, "a", Bbox.unit(), size=9, filled=True)
    assert ax.patches[-1].get_facecolor() != (1, 1, 1, 1)
    assert not ax.axison


def test_a_dollar_sign_in_a_box_is_no_mathematics_whatever_the_look(ax):
    with mpl.rc_context({"text.parse_math": True}):
        boxes.draw(ax, r"$\frac{ of $5", Bbox.unit(), size=9)
    assert extents(ax)[1].width > 0
