"""The five gaps against sums by hand, SciPy's t tests, and the identity of the first three."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods.gap_model import gap_model

DIMENSIONS = {"prompt": ["p1", "p2"], "kind": ["p3"]}
EXPECTATIONS = {"p1": "e1", "p2": "e2", "p3": "e3"}


def judged(level, judges, seed, *, site=None):
    """A provider's table: every judge scores both dimensions around a level."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "judge": np.repeat([f"j{i}" for i in range(judges)], 2),
            "dimension": ["prompt", "kind"] * judges,
            "score": np.clip(level + 0.4 * rng.normal(size=2 * judges), 1, 7),
        }
    )
    return table if site is None else table.assign(site=site)


@pytest.fixture
def answers():
    rng = np.random.default_rng(1)
    made = pd.DataFrame(
        rng.integers(2, 6, size=(200, 6)), columns=[*EXPECTATIONS, "e1", "e2", "e3"]
    )
    made[["e1", "e2", "e3"]] += 1
    return made.assign(site=np.where(np.arange(200) < 100, "north", "south"))


def model(answers, **settings):
    settings = {"points": (1, 7), "draws": 500, "rng": np.random.default_rng(1)} | settings
    settings = {"dimensions": DIMENSIONS, "expectations": EXPECTATIONS} | settings
    return gap_model(answers, **settings)


def over_all(found):
    whole = found.table[(found.table["dimension"] == "all") & (found.table["site"] == "all")]
    return whole.set_index("gap")


def scores(table):
    return table.groupby("judge")["score"].mean()


def test_gap_one_is_welchs_interval(answers):
    beliefs = judged(4.0, 7, 3)
    row = over_all(model(answers, beliefs=beliefs)).loc[1]
    hoped = (answers[["e1", "e2"]].mean(axis=1) + answers["e3"]) / 2
    welch = stats.ttest_ind(scores(beliefs), hoped, equal_var=False).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((welch.low, welch.high))
    assert (row["judges_first"], row["judges_second"]) == (7, 200)


def test_gap_five_is_the_paired_interval(answers):
    found = model(answers)
    row = over_all(found).loc[5]
    seen = (answers[["p1", "p2"]].mean(axis=1) + answers["p3"]) / 2
    hoped = (answers[["e1", "e2"]].mean(axis=1) + answers["e3"]) / 2
    paired = stats.ttest_rel(seen, hoped).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((paired.low, paired.high))
    assert row["estimate"] == pytest.approx(row["first"] - row["second"])
    assert "Only gap 5 (customer) can be given" in found.sentence()


def test_the_first_three_gaps_add_up_to_delivered_less_expected(answers):
    delivered = judged(3.5, 6, 5)
    tables = {"beliefs": judged(5.0, 7, 3), "standards": judged(4.5, 4, 4), "delivered": delivered}
    rows = over_all(model(answers, **tables))
    hoped = (answers[["e1", "e2"]].mean(axis=1) + answers["e3"]).mean() / 2
    assert rows.loc[[1, 2, 3], "estimate"].sum() == pytest.approx(delivered["score"].mean() - hoped)


def test_a_standard_that_was_set_has_no_sampling_error(answers):
    standards = pd.DataFrame({"dimension": ["prompt", "kind"], "score": [6.0, 5.0]})
    delivered = judged(4.0, 6, 5)
    row = over_all(model(answers, standards=standards, delivered=delivered)).loc[3]
    one = stats.ttest_1samp(scores(delivered) - 5.5, 0).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((one.low, one.high))


def test_each_gap_is_its_two_sides_in_every_dimension(answers):
    tables = {"beliefs": judged(5.0, 7, 3), "promised": judged(6.0, 3, 4)}
    tables |= {"delivered": judged(4.0, 6, 5), "standards": judged(4.5, 4, 6)}
    table = model(answers, **tables).table
    assert sorted(table["gap"].unique()) == [1, 2, 3, 4, 5]
    known = table.dropna(subset="estimate")
    gaps = (known["first"] - known["second"]).tolist()
    assert known["estimate"].tolist() == pytest.approx(gaps)
    by_dimension = table[(table["site"] == "all") & (table["dimension"] != "all")]
    means = by_dimension.groupby("gap")["estimate"].mean()
    assert means.tolist() == pytest.approx(over_all(model(answers, **tables))["estimate"].tolist())


def test_the_widest_gap_is_named_with_its_probability(answers):
    tables = {"beliefs": judged(5.4, 9, 3), "standards": judged(3.0, 9, 4)}
    found = model(answers, **tables)
    assert found.widest == "standards"
    assert found.widest_share == pytest.approx(1)
    first = found.sentence().splitlines()[0]
    row = over_all(found).loc[2]
    assert first.startswith(f"Most is lost in gap 2 (standards): {row['estimate']:.2f} points")
    assert len(first) <= 220
    assert "gap 4 (no table of delivered or promised)" in found.sentence()
    assert over_all(found)["widest"].sum() == pytest.approx(1)


def test_few_judges_leave_the_widest_gap_open(answers):
    # gap 1 and gap 2 are of the same size by construction, and two managers judge
    beliefs = pd.DataFrame(
        {"judge": list("aabb"), "dimension": ["prompt", "kind"] * 2, "score": [3.6, 3.6, 4.4, 4.4]}
    )
    standards = pd.DataFrame({"dimension": ["prompt", "kind"], "score": [3.5, 3.5]})
    found = model(answers, beliefs=beliefs, standards=standards)
    assert 0.05 < over_all(found).loc[2, "widest"] < 0.95
    assert "One side has only 2 judges." in found.sentence()


def test_by_site(answers):
    delivered = pd.concat(
        [judged(5.0, 5, 5, site="north"), judged(3.0, 5, 6, site="south")], ignore_index=True
    )
    delivered["judge"] = delivered["judge"] + delivered["site"]
    standards = pd.DataFrame(
        {
            "dimension": ["prompt", "kind"] * 2,
            "score": [5.0] * 4,
            "site": ["north"] * 2 + ["south"] * 2,
        }
    )
    found = model(answers, delivered=delivered, standards=standards)
    sites = found.table[found.table["site"] != "all"].set_index(["gap", "site"])
    north = delivered[delivered["site"] == "north"]
    one = stats.ttest_1samp(scores(north), 5.0).confidence_interval(0.95)
    row = sites.loc[(3, "north")]
    assert (row["low"], row["high"]) == pytest.approx((one.low - 5, one.high - 5))
    assert sites.loc[(5, "south"), "judges_first"] == 100
    assert "Its lowest site is south" in found.sentence()


def test_blanks_and_dimensions_that_one_side_lacks(answers):
    blank = answers.astype({"p3": float})
    blank.loc[:19, "p3"] = np.nan
    beliefs = judged(4.0, 7, 3)
    table = model(blank, beliefs=beliefs[beliefs["dimension"] == "kind"]).table
    whole = table[(table["site"] == "all") & (table["gap"] == 1)].set_index("dimension")
    assert whole.loc["all", "note"] == "over 1 of 2 dimensions"
    assert whole.loc["prompt", "note"] == "no dimension has both sides"
    assert whole.loc["all", "estimate"] == pytest.approx(whole.loc["kind", "estimate"])


def test_one_judge_gives_a_gap_without_interval(answers):
    found = model(answers, beliefs=judged(4.0, 1, 3))
    row = over_all(found).loc[1]
    assert np.isfinite(row["estimate"])
    assert np.isnan(row["low"])
    assert row["note"] == "one judge in beliefs: no interval"
    assert row["note"] in found.sentence()


def test_a_dimension_that_few_judged_has_their_number_not_everyones(answers):
    """Ten managers judge one dimension, two of them the other: Welch's interval of 2 and 200."""
    beliefs = judged(5.0, 10, seed=3)
    late = beliefs["judge"].isin(["j0", "j1"])
    beliefs = beliefs[late | (beliefs["dimension"] == "prompt")]
    found = model(answers, beliefs=beliefs).table
    row = found[(found["gap"] == 1) & (found["dimension"] == "kind")].iloc[0]
    two = beliefs.loc[beliefs["dimension"] == "kind", "score"]
    limits = stats.ttest_ind(two, answers["e3"], equal_var=False).confidence_interval(0.95)
    assert (row["judges_first"], row["judges_second"]) == (2, 200)
    assert (row["low"], row["high"]) == pytest.approx((limits.low, limits.high))
    one = beliefs[(beliefs["judge"] != "j1") | (beliefs["dimension"] == "prompt")]
    found = model(answers, beliefs=one).table
    rows = found[(found["gap"] == 1) & found["dimension"].isin(["kind", "all"])]
    assert rows["low"].isna().all()
    assert set(rows["note"]) == {"one judge of a dimension in beliefs: no interval"}


def test_bad_input(answers):
    with pytest.raises(Problem, match="the dimension 'promt', which the survey has not"):
        model(answers, beliefs=judged(4, 3, 1).replace("prompt", "promt"))
    with pytest.raises(Problem, match="beliefs: 'score' has 2 answers outside 1 to 7"):
        model(answers, beliefs=judged(4, 3, 1).assign(score=[9, 9, 1, 1, 1, 1]))
    with pytest.raises(Problem, match="does not hold numbers"):
        model(answers, delivered=judged(4, 3, 1).assign(score="good"))
    with pytest.raises(Refusal, match="has no column 'score'"):
        model(answers, delivered=judged(4, 3, 1).drop(columns="score"))
    with pytest.raises(Refusal, match="both of its sides"):
        model(answers, expectations={})
    with pytest.raises(Problem, match="outside 1 to 5"):
        model(answers, points=(1, 5))


def test_the_same_seed_gives_the_same_answer_and_the_picture_draws(answers):
    tables = {"beliefs": judged(5.0, 4, 3), "delivered": judged(4.8, 4, 5)}
    first, second = model(answers, **tables), model(answers, **tables)
    pd.testing.assert_frame_equal(first.table, second.table)
    figure, ax = plt.subplots()
    assert first.plot(ax).get_title().endswith("?")
    assert len(ax.get_yticklabels()) == 6
    plt.close(figure)
