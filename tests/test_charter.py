"""A charter says what is agreed, and what nobody has written yet."""

import matplotlib.pyplot as plt
import pytest

from sqm.checks import Problem
from sqm.methods.charter import SIPOC, charter


@pytest.fixture
def full():
    return {
        "problem": "Calls wait",
        "goal": "Nine in ten within a minute.",
        "scope": "All sites",
        "sponsor": "A. Gil",
        "team": ["B. Ortiz", "王芳"],
        "sipoc": {
            "suppliers": ["customers", "planning"],
            "inputs": ["calls"],
            "process": [
                "ring",
                "wait",
                "answer",
                "a step $ with <signs> & 很长的步骤名称在这里" * 3,
            ],
            "outputs": ["an answer"],
            "customers": ["households"],
        },
    }


def test_shorter_columns_end_in_empty_text(full):
    table = charter(**full).table
    assert list(table.columns) == list(SIPOC)
    assert table["suppliers"].tolist() == ["customers", "planning", "", ""]
    assert table["process"].ne("").all()


def test_the_sentence_holds_every_text_once_and_names_nothing_blank(full):
    said = charter(**full).sentence()
    for text in ("Problem: Calls wait.", "within a minute. Scope", "A. Gil", "B. Ortiz, 王芳."):
        assert text in said
    assert said.endswith("Nothing is left blank.")


def test_what_is_blank_is_named(full):
    found = charter(**full | {"goal": "  ", "sponsor": "", "team": [], "sipoc": {}})
    assert found.blank == ("goal", "sponsor", "team", *SIPOC)
    assert len(found.table) == 0
    assert "Still blank: goal, sponsor, team, suppliers" in found.sentence()
    assert "Goal:" not in found.sentence()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sipoc": {"supliers": ["x"]}}, "did you mean 'suppliers'"),
        ({"sipoc": {"inputs": "calls"}}, "sipoc: inputs is 'calls', no list"),
        ({"sipoc": {"inputs": [3]}}, "sipoc: inputs is 3, no text"),
        ({"team": "B. Ortiz"}, "team is 'B. Ortiz', no list"),
        ({"goal": 90}, "goal is 90, no text"),
    ],
)
def test_what_is_no_text_or_list_is_named(full, change, message):
    with pytest.raises(Problem, match=message):
        charter(**full | change)


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("steps", [4, 40])
def test_no_text_leaves_its_box(full, steps):
    full["sipoc"]["process"] = [f"step {i} of the process 步骤" for i in range(steps)]
    figure, ax = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
    charter(**full).plot(ax)
    figure.draw_without_rendering()
    boxes = [patch.get_window_extent() for patch in ax.patches[:10]]
    texts = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert len(boxes) == len(texts) == 10
    for box, text in zip(boxes, texts, strict=True):
        assert box.x0 <= text.x0 and text.x1 <= box.x1 + 1
        assert box.y0 - 1 <= text.y0 and text.y1 <= box.y1 + 1
    plt.close(figure)
