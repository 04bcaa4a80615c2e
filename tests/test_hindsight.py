"""Planted leaks are refused, with the reason; what only goes with the outcome is kept."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods import hindsight as room
from sqm.methods.hindsight import known_before


def tickets(n=4000, seed=1):
    rng = np.random.default_rng(seed)
    wait = rng.exponential(300, n)
    complained = rng.random(n) < 0.05 + 0.2 * (wait > 400)
    return pd.DataFrame(
        {
            "complained": complained,
            "wait_s": wait,
            "channel": rng.choice(["phone", "chat"], n),
            "customer": pd.Series(rng.integers(0, 5000, n)).map("k{}".format),
            "agent": pd.Series(rng.integers(0, 40, n)).map("a{}".format),
        }
    )


def judged(records, drivers, **settings):
    known_at = settings.pop("known_at", dict.fromkeys(drivers, "before"))
    return known_before(
        records, drivers=drivers, known_at=known_at, rng=np.random.default_rng(7), **settings
    )


def row(found, driver):
    return found.table.set_index("driver").loc[driver]


def test_area_by_hand():
    # pairs of one with and one without: 3 over 2, 3 over 1, 2 over 1, 2 ties 2: 3.5 of 4
    found, low, high = room._area(
        np.array([1.0, 1, 0, 0]), np.array([3, 2, 2, 1]), np.arange(4), 0.95
    )
    assert found == 3.5 / 4
    assert low < found < high


def test_turning_a_driver_round_changes_nothing():
    records = tickets()
    records["soon"] = -records["wait_s"]
    found = judged(records, ["wait_s", "soon"], cluster="agent")
    assert row(found, "soon")["estimate"] == pytest.approx(row(found, "wait_s")["estimate"])
    assert row(found, "soon")["low"] == pytest.approx(row(found, "wait_s")["low"])


def test_rates_are_learnt_from_the_other_folds():
    # level 0: fold 0 has one event of one row, fold 1 none of one; the mean is 1/4
    codes, y, fold = np.array([0, 0, 1, 1]), np.array([1.0, 0, 0, 0]), np.array([0, 1, 0, 1])
    score = room._learnt_elsewhere(codes, y, fold)
    assert score.tolist() == [0.25 / 2, 1.25 / 2, 0.25 / 2, 0.25 / 2]


def test_five_thousand_levels_do_not_leak_by_themselves():
    found = judged(tickets(), ["wait_s", "customer"])
    assert found.allowed == ("wait_s", "customer")
    told = row(found, "customer")
    assert told["low"] <= 0.5 + 0.03 and told["estimate"] < 0.56
    assert row(found, "wait_s")["low"] > 0.6


def test_a_planted_leak_is_refused_with_its_reason():
    records = tickets()
    records["refund"] = np.where(records["complained"], 20.0, 0.0)
    records["state"] = np.where(records["complained"], "closed", "none")
    found = judged(records, ["wait_s", "refund", "state"])
    assert found.allowed == ("wait_s",) and found.refused == ("refund", "state")
    assert "alone tells the outcome" in row(found, "refund")["note"]
    assert "Refused: refund, state" in found.sentence().splitlines()[0]


def test_a_number_that_tells_without_order_is_found():
    records = tickets()
    records["code"] = np.where(records["complained"], 5, np.where(np.arange(4000) % 2, 2, 9))
    told = row(judged(records, ["wait_s", "code"]), "code")
    assert told["told_by"] == "steps" and told["verdict"] == "refused"


def test_declared_after_and_not_declared_are_refused():
    found = judged(
        tickets(),
        ["wait_s", "channel", "agent"],
        known_at={"wait_s": "before", "channel": "after"},
    )
    assert found.allowed == ("wait_s",)
    assert "known only after" in row(found, "channel")["note"]
    assert "say under analyse.known_at" in row(found, "agent")["note"]


def test_a_date_on_nearly_every_new_ticket_and_on_no_other():
    """A resolution date stands on 3,636 of 3,640 tickets marked new."""
    n = 8000
    new = np.arange(n) < 3640
    date = pd.Series(pd.date_range("2025-01-01", periods=n, freq="h")).where(new)
    date[[0, 1, 2, 3]] = pd.NaT
    records = pd.DataFrame({"new": new, "date": date, "wait_s": np.arange(n) % 97})
    found = judged(records, ["date", "wait_s"], outcome="new")
    assert found.allowed == ("wait_s",)
    assert "blankness alone" in row(found, "date")["note"]
    date[[5000, 5001]] = pd.Timestamp("2025-06-01")
    found = judged(records.assign(date=date), ["date", "wait_s"], outcome="new")
    assert "blankness alone" in row(found, "date")["note"]
    assert row(found, "date")["share_if_given"] == pytest.approx(3636 / 3638)


def test_a_cost_given_only_to_some_who_complained():
    """Blankness has an area of 0.75 only, yet where there is a cost, there was a complaint."""
    records = tickets()
    rng = np.random.default_rng(3)
    given = records["complained"] & (rng.random(4000) < 0.5)
    given.iloc[np.flatnonzero(~records["complained"])[0]] = True
    records["cost"] = pd.Series(rng.normal(size=4000)).where(given)
    told = row(judged(records, ["wait_s", "cost"]), "cost")
    assert 0.7 < told["blank_estimate"] < 0.8
    assert told["verdict"] == "refused" and told["note"].startswith("is given in")


def test_blankness_that_only_goes_with_the_outcome_is_told():
    records = tickets()
    lost = np.random.default_rng(4).random(4000) < np.where(records["complained"], 0.5, 0.1)
    records["agent"] = records["agent"].mask(lost)
    found = judged(records, ["wait_s", "agent"])
    assert found.refused == ()
    assert "Being blank goes with the outcome in agent" in found.sentence()


def test_what_tells_nothing_is_refused():
    records = tickets().assign(one="x", none=np.nan)
    found = judged(records, ["wait_s", "one", "none"])
    assert row(found, "one")["note"] == "has one value only"
    assert row(found, "none")["note"] == "is blank in every row"


def test_a_number_is_parted_at_its_median():
    records = tickets().assign(cost=np.arange(4000.0), paid=np.arange(4000.0) * 2)
    found = judged(records, ["wait_s", "paid"], outcome="cost")
    assert found.allowed == ("wait_s",) and "'cost' above 1999.5" in found.sentence()


def test_rows_without_an_outcome_are_counted():
    records = tickets()
    records["complained"] = records["complained"].astype("boolean")
    records.loc[:9, "complained"] = pd.NA
    found = judged(records, ["wait_s"], cluster="agent")
    assert found.left_out == 10 and found.records == 3990 and found.clusters == 40
    assert "10 without one left out" in found.sentence()


def test_the_interval_covers_the_area_of_two_normals():
    """Scores one standard deviation apart: Phi(1 / sqrt 2) = 0.7602; held in about 95 of 100."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        y = np.repeat([1.0, 0.0], [60, 140])
        _, low, high = room._area(y, rng.normal(y), np.arange(200), 0.95)
        held += low <= 0.76025 <= high
    assert held >= 89


def test_first_line_fits_a_screen_whatever_the_names():
    records = tickets()
    names = [f"$ <b>{i} 客户 🙂 " + "very long " * 8 for i in range(5)]
    for name in names:
        records[name] = np.where(records["complained"], 1, 0)
    found = judged(records, ["wait_s", *names])
    assert len(found.sentence().splitlines()[0]) <= 240
    assert found.allowed == ("wait_s",)


def test_same_chance_same_answer():
    one, other = (judged(tickets(), ["wait_s", "customer"]).table for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_picture():
    records = tickets()
    records["state"] = np.where(records["complained"], "closed", "none")
    ax = judged(records, ["wait_s", "state"]).plot(plt.figure().add_subplot())
    assert [t.get_text() for t in ax.get_yticklabels()] == ["wait_s (kept)", "state (refused)"]
    assert ax.get_title().endswith("?") and "interval" in ax.get_xlabel()
    plt.close("all")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"known_at": {"wait": "before"}}, "no column"),
        ({"known_at": {"wait_s": "Before"}}, "known_at says 'Before'"),
        ({"drivers": []}, "No list of drivers"),
        ({"drivers": ["complained"]}, "is the outcome and a driver"),
        ({"confidence": 95}, "confidence is 95"),
        ({"leaks_above": 1}, "leaks_above is 1"),
        ({"folds": 1}, "folds is 1"),
        ({"outcome": "channel"}, "true and false"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    given = {"drivers": ["wait_s"], "known_at": {"wait_s": "before"}, **settings}
    with pytest.raises(Problem, match=said) as told:
        known_before(tickets(200), rng=np.random.default_rng(1), **given)
    assert not isinstance(told.value, Refusal)


def test_nearest_spelling_is_offered():
    with pytest.raises(Problem, match="did you mean 'wait_s'"):
        judged(tickets(200), ["wait_s"], known_at={"wait_": "before"})


def test_refusals():
    records = tickets(200)
    with pytest.raises(Refusal, match="None of the 1 drivers may enter: wait_s is not declared"):
        judged(records, ["wait_s"], known_at={})
    with pytest.raises(Refusal, match="the same outcome"):
        judged(records.assign(complained=False), ["wait_s"])
    with pytest.raises(Refusal, match="no column 'wait'"):
        judged(records, ["wait"], known_at={})


def test_rows_without_a_cluster_are_told_apart_from_groups():
    records = tickets()
    records.loc[:99, "agent"] = None
    found = judged(records, ["wait_s"], cluster="agent")
    assert (found.clusters, found.alone) == (140, 100)
    assert "Rows of one agent may be alike (40 groups; 100 rows without one" in found.sentence()
    assert "count as independent" in found.sentence()
    assert "Rows count as independent." in judged(records, ["wait_s"]).sentence()
