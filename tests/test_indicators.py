"""Indicators and their total against sums done by hand, limiting cases and identities."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.interval import share, wilson
from sqm.methods.indicators import indicator_system

SHARE = {
    "name": "in time",
    "objective": "answer soon",
    "table": "calls",
    "measure": "wait_s",
    "direction": "at most",
    "limit": 300,
    "target": 0.8,
}
MEAN = {
    "name": "handling",
    "objective": "work well",
    "table": "calls",
    "measure": "service_s",
    "direction": "at most",
    "statistic": "mean",
    "target": 100,
    "worst": 300,
    "unit": "s",
}


def calls(good=15, of=20, **more):
    return pd.DataFrame({"wait_s": [100.0] * good + [400.0] * (of - good), **more})


def system(records, *indicators, **settings):
    return indicator_system({"calls": records}, indicators=indicators, **settings)


# --- one indicator --------------------------------------------------------------------------------


def test_a_share_is_wilsons_and_its_attainment_in_proportion():
    found = system(calls(), SHARE | {"worst": 0.5, "best": 1.0})
    row = found.table.iloc[0]
    low, high = wilson(0.75, 20)
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((0.75, low, high))
    assert row["attainment"] == pytest.approx(50)  # half-way between 0.5 and 1
    assert (found.low, found.high) == pytest.approx((200 * (low - 0.5), 200 * (high - 0.5)))
    assert row["to_gain"] == found.gain == pytest.approx(50)


def test_a_mean_without_skewness_is_students():
    values = np.r_[np.arange(50.0), -np.arange(50.0)]
    row = system(pd.DataFrame({"service_s": values}), MEAN).table.iloc[0]
    half = stats.t.ppf(0.975, 99) * values.std(ddof=1) / 10
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((0, -half, half))


def test_halls_interval_inverts_its_cubic():
    """g at each limit is Student's quantile: the transformation's own equation."""
    values = np.random.default_rng(3).exponential(size=60)
    row = system(pd.DataFrame({"service_s": values}), MEAN).table.iloc[0]
    root, skew, error = 60**0.5, stats.skew(values), values.std(ddof=1) / 60**0.5
    t = (values.mean() - row[["low", "high"]].to_numpy(float)) / error
    g = t + skew * t**2 / (3 * root) + skew**2 * t**3 / (27 * 60) + skew / (6 * root)
    assert g.tolist() == pytest.approx([stats.t.ppf(0.975, 59), -stats.t.ppf(0.975, 59)])


def test_a_median_has_the_order_statistics_around_it():
    values = np.arange(1.0, 100.0)  # 99 values: the quantile p lies at 100 p
    row = system(pd.DataFrame({"service_s": values}), MEAN | {"statistic": "median"}).table.iloc[0]
    low, high = wilson(0.5, 99)
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((50, 100 * low, 100 * high))


def test_weeks_that_are_alike_widen_every_interval():
    week = np.repeat(np.arange(20), 20)
    at = pd.Timestamp("2025-01-06") + pd.to_timedelta(7 * week, unit="D")
    records = pd.DataFrame({"wait_s": 100.0 + 300 * (week % 2), "service_s": week * 1.0, "at": at})
    kinds = (SHARE, MEAN, MEAN | {"name": "median", "statistic": "median"})
    alone, alike = system(records, *kinds), system(records, *kinds, times={"calls": "at"})
    wide, narrow = (found.table["high"] - found.table["low"] for found in (alike, alone))
    assert (wide > narrow).all()
    by_room = share(records["wait_s"] <= 300, clusters=pd.DataFrame({"week": week}))
    limits = alike.table.loc[0, ["low", "high"]].tolist()
    assert limits == pytest.approx([by_room.low, by_room.high])


@pytest.mark.parametrize(("good", "status"), [(190, "met"), (160, "not settled"), (120, "missed")])
def test_status_needs_the_whole_interval(good, status):
    assert system(calls(good, 200), SHARE).table.loc[0, "status"] == status


def test_less_is_better_where_the_direction_says_so():
    low, high = np.linspace(10, 20, 50), np.linspace(400, 500, 50)
    met = system(pd.DataFrame({"service_s": low}), MEAN).table.iloc[0]
    assert (met["status"], met["attainment"], met["to_gain"]) == ("met", 100, 0)
    missed = system(pd.DataFrame({"service_s": high}), MEAN).table.iloc[0]
    assert (missed["status"], missed["attainment"]) == ("missed", 0)


def test_durations_still_running_are_not_averaged():
    running = [False] * 30 + [True] * 10
    cases = pd.DataFrame({"service_s": np.arange(40.0), "service_s_open": running})
    found = system(cases, MEAN)
    assert (found.table.loc[0, "n"], found.table.loc[0, "estimate"]) == (30, 14.5)
    assert "10 still running are left out" in found.sentence()


# --- the total ------------------------------------------------------------------------------------


def two(**settings):
    """In time 0.6 of 0.8: 75. Handling 200 s between 300 and 100: 50."""
    service = np.tile([150.0, 250.0], 50)
    records = calls(60, 100, service_s=service)
    return system(records, SHARE | {"weight": 3}, MEAN, **settings)


def test_the_total_by_hand():
    found = two()
    assert found.table["attainment"].tolist() == pytest.approx([75, 50])
    assert found.total == pytest.approx((3 * 75 + 50) / 4)
    assert found.table["weight_share"].tolist() == [0.75, 0.25]
    assert found.table["to_gain"].tolist() == pytest.approx([18.75, 12.5])
    assert found.equal_weights == pytest.approx(62.5)
    # the first weight halved: (1.5 * 75 + 50) / 2.5; the second doubled: (3 * 75 + 100) / 5
    assert found.table["total_if_halved"].tolist() == pytest.approx([65, (3 * 75 + 25) / 3.5])
    assert found.table["total_if_doubled"].tolist() == pytest.approx([500 / 7, 65])
    assert (found.lowest, found.highest) == pytest.approx((65, 500 / 7))
    assert (found.mover, found.mover_stays, found.mover_settled) == ("in time", False, False)


def test_the_totals_interval_recovers_the_variances():
    found = two()
    rows, w = found.table, np.array([0.75, 0.25])
    service = np.tile([150.0, 250.0], 50)
    r = -np.corrcoef(np.arange(100) < 60, service)[0, 1]  # less handling is better
    away = w * (rows["attainment"] - rows["attainment_low"])
    want = found.total - np.sqrt((away**2).sum() + 2 * r * away.prod())
    assert found.low == pytest.approx(want)


def test_one_record_twice_measured_is_not_two_pieces_of_news():
    twin = SHARE | {"name": "twin"}
    alone, both = system(calls(), SHARE), system(calls(), SHARE, twin)
    assert (both.low, both.high) == pytest.approx((alone.low, alone.high))
    apart = indicator_system(
        {"calls": calls(), "mails": calls()}, indicators=[SHARE, twin | {"table": "mails"}]
    )
    assert apart.total - apart.low == pytest.approx((alone.total - alone.low) / 2**0.5)


def test_all_at_their_best():
    found = system(calls(100, 100), SHARE | {"target": 0.5})
    assert (found.total, found.low, found.high, found.gain) == (100, 100, 100, 0)
    assert "Every indicator is at its best" in found.sentence()


def test_the_lead_of_the_mover_is_settled_by_many_records():
    records = calls(2000, 10_000, service_s=np.tile([100.0, 120.0], 5000))
    found = system(records, SHARE, MEAN)
    assert found.mover == "in time" and found.mover_settled and found.mover_stays


def test_data_that_are_absent_leave_the_total_to_the_others():
    letters = SHARE | {"name": "x", "table": "mail"}
    found = system(calls(), SHARE, MEAN | {"weight": 5}, letters)
    assert found.without_data == ("handling", "x")
    assert found.total == system(calls(), SHARE).total
    assert "handling (calls has no service_s); x (there is no table mail)" in found.sentence()
    assert "Weights add up to 7" in found.sentence()


def test_policy_and_indicators_are_held_against_each_other():
    policy = {"We answer soon": ["answer soon", "call back"], "We are kind": [], "Fair": "fairness"}
    stray = SHARE | {"name": "stray", "objective": "anything"}
    found = system(calls(), SHARE, stray, policy=policy)
    assert found.policy_without_indicator == (
        "We answer soon (call back)",
        "We are kind",
        "Fair (fairness)",
    )
    assert found.without_policy == ("stray",)
    assert found.table["policy"].tolist() == ["We answer soon", ""]
    assert "Stated policy without an indicator: We answer soon (call back)" in found.sentence()


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wieght": 2}, "unknown 'wieght'.\n  To mend: did you mean 'weight'"),
        ({"name": ""}, "Indicator number 1: 'name' is ''"),
        ({"target": "80 %"}, "'target' is '80 %'"),
        ({"target": 80}, "'target' is 80"),
        ({"target": True}, "'target' is True"),
        ({"weight": -1}, "'weight' is -1"),
        ({"weight": 0}, "add up to 0"),
        ({"direction": "below"}, "'direction' is 'below'"),
        ({"statistic": "average"}, "'statistic' is 'average'"),
        ({"statistic": "mean"}, "is a mean with a 'limit'"),
        ({"limit": None}, "is a share without a 'limit'"),
        ({"worst": 0.9}, "worst 0.9, target 0.8 and best 0.8 do not lie in this order"),
        ({"best": 0.7}, "do not lie in this order"),
        ({"owner": 7}, "'owner' is 7"),
    ],
)
def test_a_wrong_indicator_is_a_problem(change, message):
    with pytest.raises(Problem) as told:
        system(calls(), SHARE | change)
    assert message in str(told.value)


def test_more_bad_input():
    with pytest.raises(Problem, match="has no 'target'"):
        system(calls(), {key: value for key, value in SHARE.items() if key != "target"})
    with pytest.raises(Problem, match="has no 'worst'"):
        system(calls(), {key: value for key, value in MEAN.items() if key != "worst"})
    with pytest.raises(Problem, match="worst 300, target 400 and best 400"):
        system(calls(), MEAN | {"target": 400})
    with pytest.raises(Problem, match="Two indicators are called 'in time'"):
        system(calls(), SHARE, SHARE)
    with pytest.raises(Problem, match="Indicator number 1 is 'in time'"):
        system(calls(), "in time")
    with pytest.raises(Problem, match="The policy is"):
        system(calls(), SHARE, policy=["We answer soon"])
    with pytest.raises(Problem, match="'wait_s' holds 'long', no number"):
        system(pd.DataFrame({"wait_s": ["long"] * 12}), SHARE)


def test_nothing_to_score_is_a_refusal():
    for records, why in (
        (calls(3, 5), "only 5 records"),
        (calls().iloc[:0], "only 0 records"),
        (pd.DataFrame({"x": [1]}), "calls has no wait_s"),
    ):
        with pytest.raises(Refusal, match=why):
            system(records, SHARE)
    with pytest.raises(Refusal, match="nothing shows how sure"):
        system(pd.DataFrame({"service_s": [7.0] * 20}), MEAN)
    with pytest.raises(Refusal, match="none is named"):
        system(calls())
    with pytest.raises(Refusal, match="weight 0"):
        system(calls(), SHARE | {"weight": 0}, MEAN)


def test_the_sentence_and_the_picture():
    found = two()
    first = found.sentence().splitlines()[0]
    assert first.startswith("The policy is attained to 68.8 (95% interval") and len(first) <= 220
    assert "in time has most to gain" in first
    for said in ("handling: mean 200", "target at most 100 s", "in time: 60.0 %"):
        assert said in found.sentence()
    ax = found.plot()
    assert [x.get_text() for x in ax.get_yticklabels()][-1] == "total"
    assert ax.get_title().endswith("?")
    plt.close(ax.figure)
