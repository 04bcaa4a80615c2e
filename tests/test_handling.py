"""Times by hand, against plain shares and the other room's curve, with levels that do differ."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.handling import handling_times
from sqm.methods.promise import sla


def snapshot(n, seed, *, slow=1.0):
    """Cases opened evenly over 60 days; those at the north site take ``slow`` times as long."""
    rng = np.random.default_rng(seed)
    site = rng.choice(["north", "south", "west"], n)
    days = 6 * np.where(site == "north", slow, 1.0) * np.exp(rng.normal(size=n))
    followed = 60 * rng.random(n)
    return pd.DataFrame(
        {
            "resolution_d": np.minimum(days, followed),
            "resolution_d_open": days > followed,
            "site": site,
            "channel": rng.choice(["phone", "web"], n),
            "customer": rng.integers(n // 2, size=n).astype(str),
        }
    )


@pytest.fixture(scope="module")
def found():
    return handling_times(snapshot(900, 1, slow=2.0), promised=10, by=["site", "channel"])


def test_all_cases_agree_with_the_promise(found):
    cases = snapshot(900, 1, slow=2.0)
    other = sla(cases, promised_d=10)
    assert found.within == pytest.approx(1 - other.breach)
    assert (found.low, found.high) == pytest.approx((1 - other.high, 1 - other.low))
    assert (found.median, found.median_low) == (other.median_d, other.median_low_d)


def test_a_slow_site_is_found_and_chance_is_not(found):
    assert found.slower == ("site north",)
    assert all(name.startswith("site") for name in found.faster)
    row = found.table.set_index("level").loc["north"]
    assert row["difference_high"] < 0
    assert row["p_holm"] == pytest.approx(5 * row["p"])
    assert found.compared == 5


def test_two_levels_mirror_each_other(found):
    rows = found.table[found.table["by"] == "channel"]
    one, other = rows.to_dict("records")
    assert one["difference"] == pytest.approx(-other["difference"])
    assert one["difference_low"] == pytest.approx(-other["difference_high"])
    assert one["p"] == pytest.approx(other["p"])


def test_by_hand_without_open_cases():
    """8 of 20 against 15 of 20 within 5 days: Newcombe's interval from Wilson's."""
    cases = pd.DataFrame(
        {
            "site": ["a"] * 20 + ["b"] * 20,
            "resolution_d": [1.0] * 8 + [9.0] * 12 + [1.0] * 15 + [9.0] * 5,
            "resolution_d_open": False,
        }
    )
    found = handling_times(cases, promised=5, by=["site"], target=0.5)
    row = found.table.iloc[1]
    (a, b), (c, d) = wilson(0.4, 20), wilson(0.75, 20)
    low = -0.35 - np.hypot(0.4 - a, d - 0.75)
    high = -0.35 + np.hypot(b - 0.4, 0.75 - c)
    assert row[["difference", "difference_low", "difference_high"]].tolist() == pytest.approx(
        [-0.35, low, high]
    )
    assert found.table["verdict"].tolist() == ["not known", "not known", "met"]
    assert found.young_open == 0
    assert "No young case is open" in found.sentence()


def test_customers_shared_by_levels_are_allowed_for():
    """Each customer's cases are copies, so four times the rows tell no more."""
    cases = snapshot(200, 3)
    copies = pd.concat([cases.assign(who=np.arange(200).astype(str))] * 4, ignore_index=True)
    one = handling_times(cases, promised=10, by=["site"]).table
    blind = handling_times(copies, promised=10, by=["site"]).table
    aware = handling_times(copies, promised=10, by=["site"], clusters="who").table
    width = [(t["difference_high"] - t["difference_low"])[1] for t in (one, blind, aware)]
    assert width[1] == pytest.approx(width[0] / 2, rel=0.03)
    assert width[2] == pytest.approx(width[0], rel=0.03)


def test_hours_and_other_words():
    cases = snapshot(300, 4).rename(
        columns={"resolution_d": "acknowledgement_h", "resolution_d_open": "waiting"}
    )
    found = handling_times(
        cases, promised=24, duration="acknowledgement_h", running="waiting", done="acknowledged"
    )
    assert found.unit == "hours"
    assert "of cases are acknowledged within 24 hours" in found.sentence()
    assert found.passed_over == ("category (not in the table)",)
    assert "Passed over: category (not in the table)." in found.sentence()


def test_levels_that_cannot_be_said():
    cases = snapshot(300, 5)
    cases.loc[:3, "site"] = "tiny"
    young = cases.head(12).assign(site="new", resolution_d=2.0, resolution_d_open=True)
    cases = pd.concat([cases, young], ignore_index=True).assign(only="one")
    cases["many"] = [f"level {i}" for i in range(len(cases))]
    found = handling_times(cases, promised=10, by=["site", "only", "many"])
    notes = found.table.set_index("level")["note"]
    assert notes["tiny"] == "only 4 cases"
    assert notes["new"] == "no case has been followed for 10 days"
    assert notes["one"] == "no other cases to compare with"
    assert found.passed_over[0].startswith("many (312 levels")
    assert "Not said: site new (no case has been followed" in found.sentence()
    assert found.table.loc[found.table["level"] == "new", "median"].isna().all()


def test_blank_levels_are_in_no_comparison():
    cases = snapshot(300, 6)
    cases.loc[:99, "site"] = None
    found = handling_times(cases, promised=10, by=["site"])
    assert found.cases == 300
    assert found.table.loc[found.table["by"] == "site", "cases"].sum() == 200


def test_bad_input():
    cases = snapshot(100, 7)
    with pytest.raises(Problem, match="have a negative 'resolution_d'"):
        handling_times(cases.assign(resolution_d=-1.0), promised=10)
    with pytest.raises(Problem, match="promised is 0"):
        handling_times(cases, promised=0)
    with pytest.raises(Problem, match="target is 90"):
        handling_times(cases, promised=10, target=90)
    with pytest.raises(Problem, match="give a list"):
        handling_times(cases, promised=10, by="site")
    with pytest.raises(Refusal, match="followed for 90 days"):
        handling_times(cases, promised=90)
    with pytest.raises(Refusal, match="9 usable rows"):
        handling_times(cases.head(9), promised=10)
    with pytest.raises(Refusal, match="no column"):
        handling_times(cases, promised=10, running="open")


def test_sentences_and_pictures(found):
    cases = snapshot(900, 1, slow=2.0)
    cases["site"] = cases["site"].replace({"north": "<b>$ 😀 投诉" + "x" * 60})
    strange = handling_times(cases, promised=10, target=0.8)
    assert f"{100 * found.within:.1f} % (95% interval {100 * found.low:.1f}" in found.sentence()
    assert "site north -" in found.sentence()
    assert "points (95% interval" in found.sentence()
    for each in (found, strange):
        assert len(each.sentence().splitlines()[0]) <= 220
        ax = each.plot(plt.figure().subplots())
        assert len(ax.get_yticklabels()) == len(each.table)
        assert ax.get_xlabel()
    plt.close("all")


def test_levels_of_one_cluster_are_told():
    """Sites that are the clusters: of each there is one, so nothing tells how sites vary."""
    rng = np.random.default_rng(4)
    cases = pd.DataFrame({"site": rng.choice(["a", "b", "c"], 300), "resolution_d_open": False})
    cases["resolution_d"] = rng.exponential(10, 300)
    found = handling_times(cases, promised=10, by=["site"], clusters="site")
    assert found.table["note"].iloc[1:].eq("of one cluster: its cases count as independent").all()
    assert "allow for it, but not within a, b, c, of one site each" in found.sentence()
    cases["agent"] = rng.integers(0, 30, 300)
    other = handling_times(cases, promised=10, by=["site"], clusters="agent")
    assert other.table["note"].eq("").all()
    assert "intervals allow for it." in other.sentence()
