"""Chances of a target against shares counted by hand on a service of four customers."""

import matplotlib.pyplot as plt
import pytest
from four_customers import CTQS, chance, fit, play

from sqm.checks import Problem
from sqm.methods.target_chances import ALL, chance_of_target


def test_defects_by_hand():
    table = chance_of_target(play(), CTQS).table.set_index(["ctq", "scenario"])
    by_hand = {
        ("soon", "as is"): 0.5,  # 120 and 180 s are above 90
        ("soon", "more"): 0.0,
        ("answered", "as is"): 0.25,
        ("at once", "as is"): 0.3,
        ("at once", "better"): 0.1,
        ("quick", "as is"): 1.0,  # 400 s are above 300, 200 s are not
        ("quick", "faster"): 0.0,
        ("content", "more"): chance(0, 0.7),
    }
    for place, share in by_hand.items():
        assert table.loc[place, "defects"] == pytest.approx(share), place
        target = CTQS.set_index("name").loc[place[0], "target"]
        assert table.loc[place, "estimate"] == (share <= target), place


def test_what_a_simulation_cannot_judge_is_left_open():
    chances = chance_of_target(play(), CTQS)
    polite = chances.table[chances.table["ctq"].eq("polite")]
    assert polite["estimate"].isna().all() and polite["note"].str.contains("survey").all()
    assert "1 of 6 cannot be judged" in chances.sentence()
    # 8 draws without an exception: Wilson's limit is 8 / (8 + 1.96^2) = 0.676
    assert "soon, under 33 % as it is and over 67 % with more" in chances.sentence()
    assert "share of 8 draws" in chances.sentence()


def test_a_ctq_that_was_not_played_is_a_problem():
    with pytest.raises(Problem, match="without the CTQ 'soon'"):
        chance_of_target(play(ctqs=None), CTQS)


def test_the_picture_has_a_row_for_each_characteristic():
    figure, axes = plt.subplots()
    chance_of_target(play(), CTQS).plot(axes)
    assert [label.get_text() for label in axes.get_yticklabels()] == [*CTQS["name"], ALL]
    plt.close(figure)


def test_all_targets_at_once_by_hand():
    """As it is only `answered` holds; with all three improvements every one of the five does."""
    generous = CTQS.assign(target=[0.4, 0.3, 0.25, 0.5, 0.06, 0.1])
    found = chance_of_target(play(ctqs=generous, combinations=True), generous)
    together = found.table[found.table["ctq"].eq(ALL)].set_index("scenario")["estimate"]
    assert together["as is"] == 0 and together["more + faster + better"] == 1
    assert together["more + faster"] == 0  # too few are resolved at once
    assert found.best == "more + faster + better"
    first = found.sentence().split("\n")[0]
    assert "all 5 targets that can be judged are met at once is under 33 % as it is" in first
    assert first.endswith("and over 67 % with all 3 together.") and len(first) <= 220


def test_chances_that_hang_together_are_not_multiplied():
    """Two targets on the same complaints: both are met whenever the stricter one is."""
    twice = CTQS.iloc[[4, 4]].assign(name=["strict", "mild"], target=[0.1, 0.11])
    drivers = fit({"(intercept)": -2.2}, 0.04)
    found = chance_of_target(play(ctqs=twice, drivers=drivers, draws=400), twice)
    of = found.table[found.table["scenario"].eq("as is")].set_index("ctq")["estimate"]
    assert 0.2 < of["strict"] < of["mild"] < 0.95
    assert of[ALL] == of["strict"]


def test_one_target_alone_has_no_row_for_all():
    found = chance_of_target(play(ctqs=CTQS[:1]), CTQS[:1])
    assert ALL not in set(found.table["ctq"])
    assert found.sentence().startswith("Chance of meeting the target in the long run: soon, under")


def test_no_target_that_can_be_judged_is_said():
    found = chance_of_target(play(ctqs=CTQS[5:]), CTQS[5:])
    assert "No target's chance of being met can be given" in found.sentence()
    assert "1 of 1 cannot be judged" in found.sentence()


def test_many_scenarios_stand_below_each_other_in_the_picture():
    figure, axes = plt.subplots()
    found = chance_of_target(play(combinations=True), CTQS)
    found.plot(axes)
    assert [each.get_text() for each in axes.get_yticklabels()] == list(found.labels)
    plt.close(figure)
