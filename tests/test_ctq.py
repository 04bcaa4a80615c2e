"""CTQs: what they must say, and how the tree shows them."""

import io

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.baseline import baseline
from sqm.methods.ctq import ctq_tree


def a_ctq(**changes):
    return {
        "name": "quick",
        "need": "be quick",
        "driver": "waiting",
        "definition": "seconds from arrival to an agent",
        "table": "operations",
        "measure": "wait_s",
        "direction": "at most",
        "limit": 60,
        "unit": "s",
        "target": 0.2,
    } | changes


def test_the_tree_counts_and_keeps_every_field_with_defaults():
    found = ctq_tree([a_ctq(), a_ctq(name="right", need="be right", owner="A. Gil")])
    assert (found.needs, found.drivers, found.ctqs) == (2, 2, 2)  # waiting hangs under each need
    assert found.table["opportunities"].tolist() == [1, 1]
    assert found.table["owner"].tolist() == ["", "A. Gil"]
    assert "2 needs of customers, 2 drivers and 2 CTQs." in found.sentence()


def test_the_table_reads_back_from_csv_and_gives_the_same_baseline():
    table = ctq_tree([a_ctq(unit="")]).table
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    records = {"operations": pd.DataFrame({"wait_s": [90.0] * 3 + [10.0] * 7})}
    one, two = (baseline(records, ctqs=each, times={}).table for each in (table, again))
    pd.testing.assert_frame_equal(one, two)


def test_a_need_that_is_weighed_but_has_no_ctq_is_named():
    weights = pd.DataFrame(
        {"need": ["fair", "be quick", "kind"], "estimate": [0.2, 0.5, 0.3]}
        | {"low": [0.1, 0.4, 0.2], "high": [0.3, 0.6, 0.4]}
    )
    found = ctq_tree([a_ctq()], weights=weights)
    assert found.uncovered == ("kind", "fair")
    assert "without a CTQ: kind, fair." in found.sentence()
    assert found.table.loc[0, ["weight", "weight_low", "weight_high"]].tolist() == [0.5, 0.4, 0.6]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limti": 3}, "CTQ 'quick' has an unknown 'limti'.\n.*did you mean 'limit'"),
        ({"direction": "at mots"}, "CTQ 'quick': 'direction' is 'at mots'.\n.*'at most'"),
        ({"limit": "60"}, "'limit' is '60'"),
        ({"limit": True}, "'limit' is True"),
        ({"limit": float("nan")}, "'limit' is nan"),
        ({"target": 5}, "'target' is 5.\n.*0.05 is 5 %"),
        ({"opportunities": 0}, "'opportunities' is 0"),
        ({"measure": " "}, "'measure' is ' '"),
        ({"owner": 3}, "'owner' is 3"),
        ({"name": ""}, "CTQ number 1: 'name' is ''"),
    ],
)
def test_a_wrong_ctq_is_named_with_what_is_wrong(changes, message):
    with pytest.raises(Problem, match=message):
        ctq_tree([a_ctq(**changes)])


def test_a_missing_key_a_second_name_and_none_at_all():
    short = a_ctq()
    del short["limit"]
    with pytest.raises(Problem, match="CTQ 'quick' has no 'limit'"):
        ctq_tree([short])
    with pytest.raises(Problem, match="Two CTQs are called 'quick'"):
        ctq_tree([a_ctq(), a_ctq()])
    with pytest.raises(Problem, match="CTQ number 1 is 'quick'"):
        ctq_tree(["quick"])
    with pytest.raises(Refusal, match="No CTQ"):
        ctq_tree([])


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("n", [1, 5, 14])
def test_boxes_of_the_tree_do_not_overlap_and_hold_their_text(n):
    ctqs = [
        a_ctq(
            name=f"{i} 首次解决 $ " + "a long name " * (i % 4), need=f"n{i % 3}", driver=f"d{i % 5}"
        )
        for i in range(n)
    ]
    figure, ax = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
    ctq_tree(ctqs).plot(ax)
    figure.draw_without_rendering()
    boxes = [patch.get_window_extent() for patch in ax.patches]
    assert len(boxes) == len(ax.texts) >= n + 2
    for at, (box, text) in enumerate(zip(boxes, ax.texts, strict=True)):
        inside = text.get_window_extent()
        assert box.x0 <= inside.x0 and inside.x1 <= box.x1 + 1
        assert box.y0 - 1 <= inside.y0 and inside.y1 <= box.y1 + 1
        for other in boxes[at + 1 :]:
            apart_x = box.x1 <= other.x0 or other.x1 <= box.x0
            assert apart_x or box.y1 <= other.y0 or other.y1 <= box.y0
    plt.close(figure)
