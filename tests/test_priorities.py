"""Quadrants against R, and made-up customers whose priorities are known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.priorities import NOT_SETTLED, importance_performance

REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(scope="module")
def airline():
    case = json.loads((REFERENCE / "ipa_crosshair.json").read_text(encoding="utf-8"))
    ratings = {
        item: [int(each) for each in given] for item, given in case["input"]["ratings"].items()
    }
    return pd.DataFrame({**ratings, "satisfied": case["input"]["satisfied"]}), case["expected"]


def placed(answers, items=("quick", "kind", "neat"), **settings):
    settings = {"points": (-20, 20), "resamples": 200, "rng": np.random.default_rng(1)} | settings
    return importance_performance(answers, dimensions={"all": list(items)}, **settings)


@pytest.fixture
def answers():
    """Quick matters and is low, kind matters and is high, neat does not matter."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(400, 3))
    made = pd.DataFrame(values + np.array([-2, 2, 2]), columns=["quick", "kind", "neat"])
    made["satisfaction"] = values @ [1.0, 1.0, 0.0] + rng.normal(size=400)
    return made


@pytest.mark.parametrize(
    ("crosshair", "key"),
    [("mean", "data_mean"), ("median", "data_median"), ("midpoint", "scale_mid")],
)
def test_airline_crosshairs_as_in_r(airline, crosshair, key):
    data, expected = airline
    found = placed(
        data,
        expected["items"],
        outcome="satisfied",
        points=(1, 5),
        crosshair=crosshair,
        certainty=0.01,
        resamples=100,
    )
    table = found.table.set_index("item")
    assert found.respondents == expected["n"]
    assert table["importance"].sum() == pytest.approx(expected["R2"], abs=1e-6)
    assert found.importance_cut == pytest.approx(expected[key]["imp_cut"], abs=1e-6)
    assert found.performance_cut == pytest.approx(expected[key]["perf_cut"], abs=1e-6)
    assert table["importance"].to_dict() == pytest.approx(expected["importance_johnson"], abs=1e-6)
    assert table["performance"].to_dict() == pytest.approx(expected["performance"], abs=1e-6)
    sure = table[table["probability"] > 0.9]
    assert len(sure) >= 5
    stated = {item: expected[key]["quadrants"][item].lower() for item in sure.index}
    assert sure["quadrant"].to_dict() == stated


def test_moved_by_names_what_r_moves(airline):
    data, expected = airline
    found = placed(data, expected["items"], outcome="satisfied", points=(1, 5), resamples=100)
    for row in found.table.itertuples():
        own = expected["data_mean"]["quadrants"][row.item]
        others = {"median": "data_median", "midpoint": "scale_mid"}
        moves = [k for k, key in others.items() if expected[key]["quadrants"][row.item] != own]
        assert row.moved_by == ", ".join(moves)


def test_what_matters_and_is_low_comes_first(answers):
    found = placed(answers)
    table = found.table.set_index("item")
    assert table["quadrant"].to_dict() == {
        "quick": "concentrate here",
        "kind": "keep up the good work",
        "neat": "possible overkill",
    }
    assert table.filter(like="p_").sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    first = found.sentence().splitlines()[0]
    assert first.startswith("Improve first: quick")
    assert f"{table.loc['quick', 'performance']:.2f} points" in first
    assert len(first) <= 220


def test_no_label_below_the_certainty(answers):
    alike = answers.assign(kind=answers["kind"] - 4)  # as important and as low as quick
    found = placed(alike, ["quick", "kind"], certainty=0.999)
    unsure = found.table["probability"] < 0.999
    assert unsure.any()
    assert (found.table.loc[unsure, "quadrant"] == NOT_SETTLED).all()
    assert "No item is surely important and done badly" in found.sentence()


def test_many_items_do_not_make_the_explained_share_look_large():
    """14 items, 60 respondents, truly 40 %: unadjusted limits held that in a third of samples."""
    items, held, seen = [f"q{i}" for i in range(14)], 0, []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        made = 0.4**0.5 * rng.normal(size=(60, 1)) + 0.6**0.5 * rng.normal(size=(60, 14))
        spread = 14 * 0.6 + 14**2 * 0.4
        pleased = made.sum(axis=1) + (spread * 1.5) ** 0.5 * rng.normal(size=60)
        answers = pd.DataFrame(made, columns=items).assign(satisfaction=pleased)
        found = placed(answers, items, points=(-9, 9), resamples=100)
        held += found.explained_low <= 0.4 <= found.explained_high
        seen.append(found.explained)
    assert held >= 90
    assert np.mean(seen) == pytest.approx(0.4, abs=0.04)
    assert "once what chance adds is taken out" in found.sentence()


def test_importance_is_the_explained_share_and_a_scale_changes_nothing(answers):
    found = placed(answers)
    r = answers.corr().to_numpy()
    whole = r[:3, 3] @ np.linalg.solve(r[:3, :3], r[:3, 3])
    assert found.table["importance"].sum() == pytest.approx(whole)
    n = len(answers)
    assert found.explained == pytest.approx(1 - (1 - whole) * (n - 1) / (n - 4))
    assert found.explained_low < found.explained < found.explained_high
    tenfold = placed(answers.assign(satisfaction=10 * answers["satisfaction"]))
    assert tenfold.table["importance"].tolist() == pytest.approx(found.table["importance"].tolist())


def test_signs_are_told(answers):
    turned = answers.assign(kind=-answers["kind"])
    found = placed(turned)
    assert "Runs against satisfaction (negative correlation)" in found.sentence()
    assert found.table.set_index("item")["note"].to_dict()["kind"] == "runs against the outcome"


def test_a_suppressor_is_flagged():
    # b goes with satisfaction only through a: r = 0.8 and 0.4, r_ab = 0.8, so b's coefficient is
    # (0.4 - 0.8 * 0.8) / (1 - 0.64) = -0.67
    r = np.array([[1, 0.8, 0.8], [0.8, 1, 0.4], [0.8, 0.4, 1]])
    drawn = np.random.default_rng(1).normal(size=(500, 3))
    whitened = np.linalg.solve(np.linalg.cholesky(np.cov(drawn.T)), (drawn - drawn.mean(axis=0)).T)
    made = pd.DataFrame((np.linalg.cholesky(r) @ whitened).T, columns=["a", "b", "satisfaction"])
    found = placed(made, ["a", "b"]).table.set_index("item")
    assert found.loc["b", "coefficient"] == pytest.approx((0.4 - 0.64) / 0.36)
    assert found["suppressor"].to_dict() == {"a": False, "b": True}


def test_dimensions_and_stated_importance(answers):
    rated = answers.assign(iq=6.0, ik=3.0, inn=2.0)
    rated["iq"] += np.arange(400) % 2
    stated = {"quick": "iq", "kind": "ik", "neat": "inn"}
    found = placed(rated, stated=stated, crosshair="midpoint")
    assert found.table["importance"].tolist() == [6.5, 3.0, 2.0]
    assert (found.importance_cut, found.performance_cut) == (0, 0)
    assert "what respondents stated" in found.sentence()
    assert np.isnan(found.explained)
    two = importance_performance(
        answers,
        dimensions={"x": ["quick", "kind"], "y": ["neat"]},
        by="dimension",
        points=(-20, 20),
        resamples=100,
        rng=np.random.default_rng(1),
    )
    assert "of 2 dimensions are settled" in two.sentence()
    assert "item" not in two.sentence()
    assert two.table.loc[0, "performance"] == pytest.approx(
        answers[["quick", "kind"]].to_numpy().mean()
    )


def test_rows_with_a_blank_are_left_out_and_counted(answers):
    blank = answers.copy()
    blank.loc[:4, "quick"] = np.nan
    found = placed(blank)
    assert (found.respondents, found.left_out) == (395, 5)
    assert "5 left out for a blank" in found.sentence()
    assert found.table["importance"].tolist() == pytest.approx(
        placed(answers[5:]).table["importance"].tolist()
    )


def test_bad_input(answers):
    with pytest.raises(Refusal, match="12 respondents"):
        placed(answers[:12])
    with pytest.raises(Refusal, match="1 item to place"):
        placed(answers, ["quick"])
    with pytest.raises(Refusal, match="same answer to neat"):
        placed(answers.assign(neat=3))
    with pytest.raises(Refusal, match="not positive definite"):
        placed(answers.assign(neat=answers["kind"]))
    with pytest.raises(Problem, match="outside 1 to 7"):
        placed(answers, points=(1, 7))
    with pytest.raises(Problem, match="crosshair is 'modus'"):
        placed(answers, crosshair="modus")
    with pytest.raises(Problem, match="No stated importance"):
        placed(answers, stated={"quick": "kind"})
    with pytest.raises(Refusal, match="has no column 'satisfaction'"):
        placed(answers.drop(columns="satisfaction"))
    with pytest.raises(Problem, match="does not hold numbers"):
        placed(answers.assign(quick="good"))


def test_the_same_seed_gives_the_same_answer_and_the_picture_draws(answers):
    first, second = placed(answers), placed(answers)
    pd.testing.assert_frame_equal(first.table, second.table)
    figure, ax = plt.subplots()
    assert first.plot(ax).get_title().endswith("?")
    assert len(ax.texts) == 3
    plt.close(figure)
