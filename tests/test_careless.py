"""Who answered without reading, and what it does to the scales."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.careless import (
    careless,
    careless_flags,
    distance,
    even_odd,
    longest_run,
    row_correlation,
    synonym_pairs,
    variability,
    with_and_without,
    without,
)
from sqm.scales import alpha

REFERENCE = Path(__file__).parent / "reference"
PERQ = [f"PERQ{i}" for i in range(1, 8)]


@pytest.fixture
def answers():
    return pd.DataFrame(
        {"polite": [1, 2, 3, 4], "patient": [2, 2, 4, 4], "listens": [1, 3, 3, 5]}, dtype=float
    )


def test_longest_runs_as_the_package_careless_counts_them():
    case = json.loads((REFERENCE / "careless_longstring.json").read_text(encoding="utf-8"))
    found = longest_run(pd.DataFrame(case["input"]))
    assert found.tolist() == case["expected"]["longest_run"]


def test_one_answer_respondents_are_counted_and_left_out_for_comparison():
    rng = np.random.default_rng(3)
    person = rng.normal(size=(60, 1))
    data = pd.DataFrame(np.clip(np.round(4 + person + rng.normal(size=(60, 3))), 1, 7))
    data.columns = ["a", "b", "c"]
    data["c"] = 8 - data["c"]
    data.loc[:4, :] = 4.0
    data.loc[5, :] = [2.0, 2.0, np.nan]
    data.loc[6, :] = [2.0, np.nan, np.nan]
    same = (data.max(axis="columns") == data.min(axis="columns")).to_numpy()
    flat = same[7:].sum()
    found = careless(data, items=["a", "b", "c"], dimensions={"s": ["a", "b", "c"]}, declared=["c"])
    assert (found.respondents, found.left_out, found.one_answer) == (59, 1, 6 + flat)
    before, after = found.table["estimate"]
    turned = data.assign(c=8 - data["c"])
    assert before == pytest.approx(alpha(turned.dropna().to_numpy()))
    keep = data.index.isin([6]) | ~same
    assert after == pytest.approx(alpha(turned[keep].dropna().to_numpy()))
    assert f"{6 + flat} of 59 respondents" in found.sentence()


def test_bad_input(answers):
    one = {"items": ["polite"], "dimensions": {"scale": ["polite"]}}
    with pytest.raises(Refusal, match="1 item cannot show"):
        careless(answers, **one)
    with pytest.raises(Refusal, match="1 item cannot show"):
        careless_flags(answers, **one, rng=np.random.default_rng(1))
    for wrong in ({"together": 0}, {"asked": 0}):
        with pytest.raises(Problem, match="flag by one sign or more"):
            flag(pd.DataFrame(1.0, index=[0], columns=ITEMS), **wrong)
    with pytest.raises(Refusal, match="half of the items"):
        careless(answers * np.nan, items=list(answers), dimensions={"scale": list(answers)})


def test_picture_and_sentence(answers):
    found = careless(answers, items=list(answers), dimensions={"scale": list(answers)})
    ax = found.plot(plt.figure().subplots())
    assert ax.get_title().endswith("?")
    assert len(ax.get_yticklabels()) == len(found.table)
    assert found.sentence().endswith(".")
    first = found.sentence().splitlines()[0]
    assert "(95% interval " in first and len(first) <= 220
    plt.close("all")


# --- signs and flags ------------------------------------------------------------------------------

ITEMS = [f"q{i}" for i in range(20)]
SCALES = {f"s{i}": ITEMS[4 * i : 4 * i + 4] for i in range(5)}


def attentive(rng, n):
    """Five scales of four items from 1 to 7 on a common trait."""
    own = np.repeat(rng.normal(size=(n, 5)), 4, axis=1)
    answers = 4.5 + 0.7 * (rng.normal(size=(n, 1)) + own) + 0.8 * rng.normal(size=(n, 20))
    return pd.DataFrame(np.clip(np.round(answers), 1, 7), columns=ITEMS)


@pytest.fixture
def mixed():
    """1,000 attentive respondents, then 20 of one answer and 20 who answered by chance."""
    rng = np.random.default_rng(2)
    flat = np.repeat(rng.integers(1, 8, size=(20, 1)), 20, axis=1)
    parts = [attentive(rng, 1000), flat, rng.integers(1, 8, size=(20, 20))]
    return pd.DataFrame(np.vstack(parts), columns=ITEMS).astype(float)


def flag(answers, **more):
    more = {"items": ITEMS, "dimensions": SCALES, "rng": np.random.default_rng(1)} | more
    return careless_flags(answers, **more)


def test_signs_as_the_package_careless_gives_them():
    case = json.loads((REFERENCE / "careless_indices.json").read_text(encoding="utf-8"))
    values, expected = np.array(case["input"], dtype=float), case["expected"]
    near = {"abs": case["tolerance"]}
    assert variability(values)[:10] == pytest.approx(expected["irv_first10"], **near)
    assert variability(values).mean() == pytest.approx(expected["irv_mean"], **near)
    squared = distance(values, mean=values.mean(axis=0), cov=np.cov(values.T))
    assert squared[:10] == pytest.approx(expected["mahad_first10"], **near)
    assert squared.sum() == pytest.approx(expected["mahad_sum"], **near)
    r = even_odd(values, groups=[list(range(i, i + 5)) for i in range(0, 50, 5)])
    stepped = np.maximum(2 * r / (1 + r), -1)  # the package steps up, cuts at -1, turns the sign
    assert -stepped[:10] == pytest.approx(expected["evenodd_first10"], **near)
    later, earlier = np.array(synonym_pairs(values)).T
    assert len(later) == expected["n_syn_pairs"]
    found = row_correlation(values[:, later], values[:, earlier])
    assert found[:10] == pytest.approx(expected["psychsyn_first10"], **near)
    assert np.isnan(found).sum() == expected["psychsyn_na"]


def test_attentive_respondents_are_flagged_no_more_often_than_said():
    found = flag(attentive(np.random.default_rng(7), 4000))
    signs = found.table[found.table["judged"] > 0]
    assert (signs["false_alarms"].dropna() <= 0.01).all()
    assert (signs["low"] <= 0.012).all()  # the cut-offs themselves come from a simulation
    assert found.share < 0.006


def test_both_kinds_of_careless_answering_are_found(mixed):
    found = flag(mixed)
    rows = np.array(found.rows)
    assert ((rows >= 1000) & (rows < 1020)).sum() == 20
    assert (rows >= 1020).sum() >= 8
    assert (rows < 1000).sum() <= 10
    assert f"{found.flagged} of 1,040 respondents" in found.sentence()
    assert len(without(mixed, found)) == 1040 - found.flagged


def test_the_same_seed_flags_the_same(mixed):
    assert flag(mixed).rows == flag(mixed).rows


def test_declared_items_are_turned_for_consistency(mixed):
    turned = mixed.copy()
    turned[["q1", "q7"]] = 8 - turned[["q1", "q7"]]
    found = flag(turned, declared=["q1", "q7"])
    straight = flag(mixed).table.set_index("sign")["cutoff"]
    assert found.table.set_index("sign")["cutoff"]["even-odd"] == pytest.approx(
        straight["even-odd"], abs=0.1
    )


def test_time_is_a_sign_where_it_is_known(mixed):
    seconds = np.full(len(mixed), 120.0)
    seconds[:3] = 39.0  # 1.95 s an item
    found = flag(mixed.assign(duration_s=seconds))
    assert found.table.set_index("sign").loc["too fast", "flagged"] == 3
    assert "no column 'duration_s'" in flag(mixed).sentence()


def test_blanks_do_not_hide_anyone(mixed):
    holes = mixed.mask(np.random.default_rng(3).random(mixed.shape) < 0.1)
    found = flag(holes)
    assert sum(1000 <= row < 1020 for row in found.rows) >= 18
    holes.iloc[0, :15] = np.nan
    assert flag(holes).left_out == 1


def test_twelve_respondents_have_no_distance(mixed):
    found = flag(mixed[:12])
    note = found.table.set_index("sign").loc["distance", "note"]
    assert note == "20 items need 60 respondents who vary, there are 12"
    assert note in found.sentence()
    assert "modelled on 12 respondents only, so the cut-offs are rough" in found.sentence()
    assert "rough" not in flag(mixed).sentence()


def test_all_careless(mixed):
    flat = mixed.iloc[1000:1020]
    with pytest.raises(Refusal, match="nobody to compare the careless with"):
        flag(flat)
    with pytest.raises(Refusal, match="one answer throughout"):
        careless(flat, items=ITEMS, dimensions=SCALES)


def test_with_and_without_side_by_side():
    everyone = pd.DataFrame(
        {
            "dimension": ["<$ 服务>", "empathy", "price"],
            "estimate": [0.75, 0.8, np.nan],
            "low": [0.71, 0.72, np.nan],
            "high": [0.79, 0.88, np.nan],
        }
    )
    fewer = everyone.assign(estimate=[0.70, 0.79, np.nan], low=[0.66, 0.71, np.nan])
    found = with_and_without(
        everyone, fewer, key="dimension", what="alpha", left_out=9, threshold=0.7
    )
    assert (found.compared, found.outside, found.overturned) == (2, 1, 1)
    assert found.table["verdict_without"].tolist()[:2] == ["open", "above"]
    assert "from 0.75 (0.71 to 0.79) to 0.70" in found.sentence()
    assert "changes a conclusion" in found.sentence()
    same = with_and_without(everyone, everyone, key="dimension", what="alpha", left_out=0)
    assert "changes no conclusion" in same.sentence()
    near = everyone.assign(estimate=[0.775, 0.77, np.nan])
    order = with_and_without(everyone, near, key="dimension", what="alpha", left_out=1)
    assert (order.outside, order.same_order) == (0, False)
    assert "changes no more than which is lowest or highest" in order.sentence()
    assert "Nobody is left out" in same.sentence() and "moves" not in same.sentence()
    one = with_and_without(
        everyone.head(1), fewer.head(1), key="dimension", what="alpha", left_out=9
    )
    assert "lowest and highest" not in one.sentence()
    with pytest.raises(Problem, match="comes twice"):
        with_and_without(
            pd.concat([everyone] * 2), everyone, key="dimension", what="alpha", left_out=0
        )
    assert len(found.plot(plt.figure().subplots()).get_yticklabels()) == 6
    plt.close("all")


def test_the_flags_draw(mixed):
    found = flag(mixed)
    assert found.plot(plt.figure().subplots()).get_title().endswith("?")
    assert len(found.sentence().splitlines()[0]) <= 220
    plt.close("all")
