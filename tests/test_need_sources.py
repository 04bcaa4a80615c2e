"""Entropy weights by hand and against a bootstrap; sources of weights side by side."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.need_sources import entropy_weights, weight_sources

# --- entropy ------------------------------------------------------------------------------------


def test_entropy_by_hand():
    """Shares 1/4, 3/4: e = (0.25 ln 4 + 0.75 ln 4/3) / ln 2 = 0.811278; 1/3, 2/3: 0.918296."""
    table = entropy_weights(pd.DataFrame({"a": [1, 3], "b": [1, 2], "flat": [5, 5]})).table
    table = table.set_index("need")
    assert table["entropy"].loc[["a", "b", "flat"]].tolist() == pytest.approx(
        [0.811278, 0.918296, 1.0], abs=1e-6
    )
    assert table.loc["a", "estimate"] == pytest.approx(0.188722 / (0.188722 + 0.081704), abs=1e-5)
    assert table.loc["flat", "estimate"] == 0
    assert table.loc["flat", "note"] == "never varies"


def test_entropy_does_not_mind_the_unit_but_the_origin():
    rng = np.random.default_rng(3)
    scores = pd.DataFrame(rng.uniform(1, 5, size=(30, 3)), columns=list("abc"))
    one = entropy_weights(scores).table
    pd.testing.assert_frame_equal(one, entropy_weights(scores.assign(a=60 * scores["a"])).table)
    moved = entropy_weights(scores.assign(a=scores["a"] + 10)).table.set_index("need")
    assert moved.loc["a", "estimate"] < 0.5 * one.set_index("need").loc["a", "estimate"]


def test_entropy_interval_agrees_with_a_bootstrap():
    rng = np.random.default_rng(5)
    scores = pd.DataFrame(rng.uniform(1, 7, size=(400, 3)) ** [1, 1.3, 0.7], columns=list("abc"))
    found = entropy_weights(scores).table.set_index("need")
    times, x = rng.multinomial(400, [1 / 400] * 400, size=1000), scores.to_numpy()
    total = times @ x
    divergence = times @ (x * np.log(x)) / total - np.log(total / 400)
    spread = (divergence / divergence.sum(axis=1, keepdims=True)).std(axis=0)
    width = (found["high"] - found["low"]) / (2 * 1.966)
    assert (width[list("abc")] / spread).to_numpy() == pytest.approx(1, abs=0.12)


def test_few_alternatives_have_no_interval():
    found = entropy_weights(pd.DataFrame({"a": [1, 3, 2], "b": [1, 2, 5]}))
    assert found.table["low"].isna().all()
    assert "No interval below 10 alternatives" in found.sentence()
    found.plot(plt.figure().subplots())
    plt.close("all")


def test_bad_scores():
    with pytest.raises(Problem, match="'a' have 1 negative"):
        entropy_weights(pd.DataFrame({"a": [1, -2], "b": [1, 2]}))
    with pytest.raises(Problem, match="are no numbers"):
        entropy_weights(pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}))
    with pytest.raises(Problem, match="Every score of 'a' is 0"):
        entropy_weights(pd.DataFrame({"a": [0, 0], "b": [1, 2]}))
    with pytest.raises(Refusal, match="No score differs"):
        entropy_weights(pd.DataFrame({"a": [2, 2], "b": [3, 3]}))
    with pytest.raises(Refusal, match="1 need"):
        entropy_weights(pd.DataFrame({"a": [2, 3]}))
    assert entropy_weights(pd.DataFrame({"a": [1, 2, np.nan], "b": [3, 1, 2]})).left_out == 1


# --- side by side -------------------------------------------------------------------------------


def weights(**by_need):
    table = pd.DataFrame({"need": list(by_need), "estimate": list(by_need.values())})
    return table.assign(low=table["estimate"] - 0.05, high=table["estimate"] + 0.05)


def test_sources_side_by_side():
    found = weight_sources(
        {"judges": weights(a=0.6, b=0.3, c=0.1), "complaints": weights(b=0.7, a=0.2, d=0.1)}
    )
    assert list(found.table) == ["need", "source", "estimate", "low", "high", "rank", "note"]
    assert found.first == ("a", "b")
    assert len(found.table) == 8
    assert "a by judges 0.60 (0.55 to 0.65), b by complaints 0.70" in found.sentence()
    assert "Not weighed: d by judges, c by complaints." in found.sentence()
    ax = found.plot(plt.figure().subplots())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["judges", "complaints"]
    plt.close("all")


def test_sources_that_agree():
    found = weight_sources({"one": weights(a=0.6, b=0.4), "two": weights(a=0.9, b=0.1)})
    assert found.sentence().startswith("All 2 sources put a first")
    assert found.widest == ""


def test_bad_sources():
    with pytest.raises(Refusal, match="one source"):
        weight_sources({"one": weights(a=1)})
    with pytest.raises(Problem, match="name 'a' twice"):
        weight_sources({"one": weights(a=1), "two": pd.concat([weights(a=1), weights(a=1)])})
    with pytest.raises(Refusal, match="no column 'low'"):
        weight_sources({"one": weights(a=1), "two": weights(a=1).drop(columns="low")})
