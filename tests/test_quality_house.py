"""The house of quality: importance by hand, holes and conflicts named, mistakes refused."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm import look
from sqm.checks import Problem, Refusal
from sqm.methods.quality_house import quality_house


def weights(low=0.8, high=1.2, **by_need):
    table = pd.DataFrame({"need": list(by_need), "estimate": list(by_need.values())})
    return table.assign(low=low * table["estimate"], high=high * table["estimate"])


def feature(name, serves, **more):
    common = {"unit": "s", "direction": "lower", "today": 30, "target": 20}
    return {"name": name, **common, "serves": serves, **more}


def house(features, needs, **more):
    return quality_house(features, weights=needs, rng=np.random.default_rng(1), **more)


@pytest.fixture
def found():
    return house(
        [
            feature("wait", {"speed": 9, "care": 1}, conflicts={"talk": -2}),
            feature("talk", {"care": 9, "speed": 3}, direction="target", today=300, target=300),
            feature("cost", {}, direction="lower", today=None, conflicts={"wait": -1, "talk": 1}),
            feature("solved", {"care": 1}, direction="higher", unit="%", today=80, target=75),
        ],
        weights(speed=0.5, care=0.3, price=0.2),
    )


def test_importance_by_hand(found):
    """wait 9 * 0.5 + 0.3 = 4.8; talk 3 * 0.5 + 9 * 0.3 = 4.2; solved 0.3; total 9.3."""
    table = found.table.set_index("feature")
    assert table["importance"].to_dict() == pytest.approx(
        {"wait": 4.8, "talk": 4.2, "solved": 0.3, "cost": 0.0}
    )
    assert table.loc["wait", "estimate"] == pytest.approx(4.8 / 9.3)
    assert list(found.table["feature"]) == ["wait", "talk", "solved", "cost"]
    assert table["estimate"].sum() == pytest.approx(1)


def test_targets_are_met_in_the_direction_that_is_better(found):
    met = found.table.set_index("feature")["met"]
    assert (bool(met["wait"]), bool(met["talk"]), bool(met["solved"])) == (False, True, True)
    assert pd.isna(met["cost"])
    assert found.table.set_index("feature").loc["wait", "gap"] == -10


def test_holes_and_conflicts_are_named(found):
    assert found.unserved == ("price",)
    assert found.idle == ("cost",)
    assert found.strong_conflicts == ("wait and talk",)
    words = found.sentence()
    assert "Needs that no feature serves: price." in words
    assert "Features that serve no need: cost." in words
    assert "both important: wait and talk" in words
    assert "2 pairs of features conflict" in words
    assert found.table.set_index("feature")["supports"].to_dict() == {
        "wait": 0, "talk": 1, "cost": 1, "solved": 0
    }  # fmt: skip


def test_weak_service_is_told():
    said = house([feature("x", {"a": 9, "b": 1})], weights(a=0.6, b=0.4))
    assert said.weakly_served == ("b",)
    assert said.strong_conflicts == ()


def test_one_feature_has_all_importance_whatever_the_weights():
    row = house([feature("x", {"a": 9})], weights(a=0.6, b=0.4)).table.loc[0]
    assert (row["estimate"], row["low"], row["high"], row["first"]) == (1, 1, 1, 1)


def test_the_interval_of_a_ratio_of_two_weights():
    """Shares a / (a + b), a and b normal with cv 0.1: the logit has sd near sqrt 0.02 = 0.1414.

    1.96 * 0.1414 = 0.2772 on the logit, so 0.431 to 0.569, and who is first is even.
    """
    each = weights(a=5, b=5, low=1 - 0.195996, high=1.195996)
    said = house([feature("x", {"a": 9}), feature("y", {"b": 9})], each, draws=20_000)
    row = said.table.loc[0]
    assert [row["low"], row["high"]] == pytest.approx([0.431, 0.569], abs=0.005)
    assert row["first"] == pytest.approx(0.5, abs=0.02)


def test_two_needs_that_share_one_whole_keep_their_own_interval():
    """x serves a alone and y serves b alone: the share of x is the weight of a itself."""
    each = weights(a=0.5, b=0.5, low=0.8, high=1.2)
    said = house([feature("x", {"a": 9}), feature("y", {"b": 9})], each, draws=20_000)
    row = said.table.loc[0]
    assert [row["low"], row["high"]] == pytest.approx([0.4, 0.6], abs=0.007)


def test_weights_without_interval_give_none():
    bare = weights(a=0.6, b=0.4).assign(low=np.nan, high=np.nan)
    said = house([feature("x", {"a": 9}), feature("y", {"b": 3})], bare)
    assert said.table["low"].isna().all()
    assert "so these have none" in said.sentence()
    assert "nan" not in said.sentence()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"direction": "up"}, "'direction' is 'up'"),
        ({"target": "20"}, "'target' is '20'"),
        ({"today": True}, "'today' is True"),
        ({"serves": {"a": 5}}, "the mark of 'a' is 5"),
        ({"serves": {"aa": 9}}, "serves 'aa', which has no weight"),
        ({"serves": ["a"]}, r"serves is \['a'\]"),
        ({"conflicts": {"x": -1}}, "is no other feature"),
        ({"conflicts": {"y": 3}}, "the mark of 'y' is 3"),
        ({"conflict": {}}, "unknown 'conflict'"),
        ({"name": " "}, "'name' is ' '"),
    ],
)
def test_mistakes_in_a_feature(change, told):
    features = [{**feature("x", {"a": 9}), **change}, feature("y", {"b": 9})]
    with pytest.raises(Problem, match=told):
        house(features, weights(a=0.6, b=0.4))


def test_bad_input():
    good, needs = [feature("x", {"a": 9}), feature("y", {"b": 9})], weights(a=0.6, b=0.4)
    with pytest.raises(Refusal, match="No feature"):
        house([], needs)
    with pytest.raises(Problem, match="called 'x'"):
        house([good[0], good[0]], needs)
    with pytest.raises(Problem, match="has no 'unit'"):
        house([{key: each for key, each in good[0].items() if key != "unit"}], needs)
    one = [{**good[0], "conflicts": {"y": -1}}, {**good[1], "conflicts": {"x": 2}}]
    with pytest.raises(Problem, match="the other way round"):
        house(one, needs)
    with pytest.raises(Problem, match="negative"):
        house(good, needs.assign(estimate=[-1, 1]))
    with pytest.raises(Refusal, match="No need has a weight"):
        house(good, needs.assign(estimate=0.0))
    with pytest.raises(Refusal, match="serves a need that has weight"):
        house([feature("x", {})], needs)
    with pytest.raises(Problem, match="name 'a' twice"):
        house(good, pd.concat([needs, needs]))
    with pytest.raises(Refusal, match="no column 'low'"):
        house(good, needs.drop(columns="low"))


def test_the_picture_is_a_house(found):
    look.apply()
    figure, ax = plt.subplots()
    found.plot(ax)
    told = {text.get_text().replace("\n", " ") for text in ax.texts}
    assert {"wait", "talk", "speed", "price", "50 %", "30 → 20 s", "− −"} <= told
    assert ax.get_title(loc="left").endswith("?")
    assert figure.get_size_inches()[1] > 3.8
    plt.close(figure)


def test_the_picture_keeps_to_its_place_beside_others(found):
    figure, (left, _) = plt.subplots(1, 2, figsize=(12, 6))
    found.plot(left)
    assert figure.get_size_inches().tolist() == [12, 6]
    plt.close(figure)


def test_long_and_foreign_names_and_many_features():
    look.apply()
    needs = weights(
        **{f"需要 number {i} with a long name that goes on and on": 0.1 for i in range(12)}
    )
    names = list(needs["need"])
    features = [
        feature(
            f"{'<b>$' * 9} {i}", {names[i % 12]: 9}, conflicts={f"{'<b>$' * 9} 0": -1} if i else {}
        )
        for i in range(20)
    ]
    said = house(features, needs)
    figure, ax = plt.subplots()
    said.plot(ax)
    assert figure.get_size_inches()[0] < 10.5
    assert len(said.sentence().splitlines()[0]) <= 220
    plt.close(figure)
