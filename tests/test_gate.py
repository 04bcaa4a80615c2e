"""The gate opens for a service that stays the same, and stays shut for one that does not."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from small_service import CALENDAR, make_log

from sqm.checks import Refusal
from sqm.methods import gate as gate_room
from sqm.methods.gate import held_out
from sqm.service_model import learn


@pytest.fixture(scope="module")
def tables():
    return make_log()


def _gate(log, staffing, until="2025-05-26", **more):
    found = learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp(until))
    rng = np.random.default_rng(1)
    return held_out(found, log, staffing=staffing, limit_s=120, draws=200, rng=rng, **more)


@pytest.fixture(scope="module")
def gate(tables):
    return _gate(*tables)


def test_a_service_that_stays_the_same_opens_the_gate(gate, tables):
    log, _ = tables
    later = log[log["arrived"] >= "2025-05-26"]
    whole = gate.table[gate.table["kind"].eq("all")].set_index("quantity")
    assert gate.open and "The gate is open, what-ifs may be shown" in gate.sentence()
    assert whole.loc["mean_wait_s", "actual"] == pytest.approx(later["wait_s"].mean())
    assert whole.loc["contacts_per_day", "actual"] == pytest.approx(len(later) / gate.days)
    assert f"{later['wait_s'].mean():.0f} s came" in gate.sentence()


def test_demand_that_shifts_after_learning_keeps_the_gate_shut():
    gate = _gate(*make_log(7, shift=12))
    assert not gate.open and gate.wait_error > 0.2
    assert "stays shut" in gate.sentence() and "contacts a day" in gate.sentence()


def test_the_band_holds_all_together():
    values = np.random.default_rng(3).multivariate_normal(np.zeros(4), np.eye(4) + 1, size=5000)
    floors = np.random.default_rng(4).binomial(20, 0.9, size=(5000, 2)) / 20
    level = gate_room._joint_level(values, floors, 0.9)
    low, high = np.quantile(values, [level, 1 - level], axis=0)
    inside = ((values >= low) & (values <= high)).all(axis=1)
    inside = (
        inside & (floors >= np.quantile(floors, level, axis=0, method="lower")).all(axis=1)
    ).mean()
    assert 0.89 < inside < 0.93  # shares of few days come in steps


def test_a_right_model_opens_the_gate_about_as_often_as_stated():
    """No tolerance; with 9 in 10 the chance of fewer than 9 of 14 is 2 in 10,000."""
    opened = 0
    for seed in range(14):
        log, staffing = make_log(100 + seed)
        found = learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp("2025-05-26"))
        rng = np.random.default_rng(seed)
        opened += held_out(
            found, log, staffing=staffing, limit_s=120, draws=60, tolerance=0.0, rng=rng
        ).open
    assert opened >= 9


def test_the_gate_needs_days_and_known_sites(tables):
    log, staffing = tables
    with pytest.raises(Refusal, match="Only 2 open days come after"):
        _gate(log, staffing, until="2025-06-19")
    new = log.assign(site=log["site"].mask(log["arrived"] >= "2025-06-01", "X9"))
    with pytest.raises(Refusal, match="X9 had no contact"):
        _gate(new, staffing)


def test_the_same_chance_gives_the_same_answer(tables, gate):
    pd.testing.assert_frame_equal(gate.table, _gate(*tables).table)


def test_a_picture_is_drawn(gate):
    axes = plt.figure().gca()
    assert gate.plot(axes).get_title() == "Did the queue foretell days it had not seen?"
    assert len(axes.get_yticks()) == 4
    plt.close(axes.figure)


def test_each_day_is_foretold_and_compared(gate, tables):
    log, _ = tables
    days = gate.table[gate.table["kind"].eq("day")]
    assert len(days) == 4 * gate.days
    one = days[days["stretch"].eq("2025-05-28")].set_index("quantity")
    came = log[log["arrived"].dt.normalize().eq("2025-05-28")]
    assert one.loc["contacts_per_day", "actual"] == len(came)
    assert one.loc["mean_wait_s", "actual"] == pytest.approx(came["wait_s"].mean())
    assert one.loc["abandoned", "actual"] == pytest.approx(came["abandoned"].mean())
    assert one.loc["waited_longer", "actual"] == pytest.approx((came["wait_s"] > 120).mean())


def test_the_share_of_days_inside_is_that_of_the_days(gate):
    days = gate.table[gate.table["kind"].eq("day")]
    share = gate.table[gate.table["kind"].eq("days inside")].set_index("quantity")["actual"]
    by_hand = days.groupby("quantity")["inside"].mean()
    pd.testing.assert_series_equal(share, by_hand[share.index], check_names=False)
    assert gate.days_inside == pytest.approx(by_hand.mean())
    assert f"{gate.days_inside:.0%} of single days" in gate.sentence()


def test_days_far_wilder_than_foretold_shut_the_gate(tables):
    """As many contacts as before in all, but every other day has twice what the next one has."""
    log, staffing = make_log(9, cv=0)
    day = log["arrived"].dt.normalize()
    later = day >= "2025-05-26"
    odd = later & (day.dt.day_of_week % 2 == 1)
    moved = odd & (np.arange(len(log)) % 3 == 0)
    log["arrived"] = log["arrived"].where(~moved, log["arrived"] - pd.Timedelta(days=1))
    log = log.sort_values("arrived", ignore_index=True)
    gate = _gate(log, staffing)
    rows = gate.table[gate.table["kind"].eq("days inside")].set_index("quantity")
    assert not gate.open and not rows.loc["contacts_per_day", "inside"]
    assert "single days" in gate.sentence()


def test_demand_that_shifts_within_what_is_learnt_keeps_the_gate_shut():
    """The weeks learnt from hold some of the new level, and still do not foretell it."""
    log, staffing = make_log(8, weeks=16, shift=9)
    gate = _gate(log, staffing)
    assert not gate.open and "contacts a day, foretold" in gate.sentence()


def test_the_errors_beyond_chance_are_told_for_demand_too():
    gate = _gate(*make_log(7, shift=12))
    assert gate.contacts_error == pytest.approx(0.4, abs=0.12)
    assert gate.abandon_error > 0.1


def test_what_was_set_aside_is_said(tables):
    log, staffing = tables
    bad = log.copy()
    bad.loc[bad.index[bad["arrived"] >= "2025-06-02"][:3], "wait_s"] = -1.0
    gate = _gate(bad, staffing)
    assert gate.set_aside == 3 and "(negative wait)" in gate.sentence()


def test_the_first_line_fits_the_first_screen(gate):
    for each in (gate, _gate(*make_log(7, shift=12))):
        assert len(each.sentence().splitlines()[0]) <= 220
