"""The same customers meet every change; the sliders show what the grid would say."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from small_service import CALENDAR, make_log

from sqm.checks import Problem, Refusal
from sqm.methods import explorer
from sqm.methods.explorer import AS_IS, Change, explore, sliders
from sqm.service_model import learn

OPEN = SimpleNamespace(
    open=True, wait_error=0.0, abandon_error=0.0, sentence=lambda: "The gate is open."
)
SHUT = SimpleNamespace(
    open=False, wait_error=0.5, abandon_error=0.0, sentence=lambda: "Shut <b>.\nDemand moved."
)
CTQS = pd.DataFrame(
    {
        "name": ["quick {<i>", "stays", "settled"],
        "measure": ["wait_s", "abandoned", "resolved"],
        "direction": ["at most", "at most", "at least"],
        "limit": [120.0, np.nan, 1.0],
        "target": [0.15, 0.5, 0.25],
    }
)

ALONE = {"agents": (), "service_factors": (), "demand_factors": ()}


@pytest.fixture(scope="module")
def tables():
    return make_log(3)


@pytest.fixture(scope="module")
def service(tables):
    log, staffing = tables
    return learn(log, staffing=staffing, calendar=CALENDAR)


def _explored(service, *, seed=1, gate=OPEN, **more):
    more = {"draws": 24, "weeks": 3, "limit_s": 120} | more
    return explore(service, gate=gate, rng=np.random.default_rng(seed), **more)


@pytest.fixture(scope="module")
def found(service):
    return _explored(service, ctqs=CTQS)


def _row(found, agents=0, handling=1.0, demand=1.0, measure="mean_wait_s"):
    rows = found.table[
        found.table["agents_added"].eq(agents)
        & found.table["service_factor"].eq(handling)
        & found.table["demand_factor"].eq(demand)
        & found.table["measure"].eq(measure)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


# --- the grid ---------------------------------------------------------------------------------


def test_as_it_is_resembles_the_log(found, tables):
    log, _ = tables
    row = _row(found)
    assert row["estimate"] == pytest.approx(log["wait_s"].mean(), rel=0.15)
    assert row["low"] < row["estimate"] < row["high"]
    left = _row(found, measure="abandoned")
    assert left["estimate"] == pytest.approx(log["abandoned"].mean(), rel=0.15)
    assert (row["change"], row["change_low"], row["change_high"]) == (0, 0, 0)
    assert (found.wait_s, found.low_s, found.high_s) == tuple(row[["estimate", "low", "high"]])


def test_each_lever_moves_waits_its_own_way(found):
    for measure in ("mean_wait_s", "abandoned", "waited_longer"):
        agents = [_row(found, a, measure=measure)["estimate"] for a in (-2, -1, 0, 1, 2)]
        assert np.all(np.diff(agents) < 0)
        handling = [_row(found, 0, f, measure=measure)["estimate"] for f in (0.9, 1.0, 1.1)]
        demand = [_row(found, 0, 1.0, f, measure=measure)["estimate"] for f in (0.9, 1.0, 1.1)]
        assert np.all(np.diff(handling) > 0) and np.all(np.diff(demand) > 0)


def test_the_same_customers_make_a_change_surer_than_its_two_levels(found):
    row, now = _row(found, demand=1.1), _row(found)
    assert row["change"] == pytest.approx(row["estimate"] - now["estimate"])
    assert row["change_low"] > 0
    assert row["change_high"] - row["change_low"] < 0.7 * (row["high"] - row["low"])


def test_agents_without_number_leave_no_wait(service):
    found = _explored(service, agents=(60,), service_factors=(1,), demand_factors=(1,))
    assert _row(found, 60)["estimate"] == 0 and _row(found, 60, measure="abandoned")["high"] == 0


def test_one_agent_stays_and_it_is_said(found):
    row = _row(found, -2)
    assert row["note"].startswith("one agent stays in 50.0% of hours")  # N1 has 2, S1 has 3
    assert row["agent_hours"] == 8 and _row(found)["agent_hours"] == 20  # four hours, two sites
    assert _row(found, -1)["note"] == "" and _row(found, 1)["agent_hours"] == 28
    assert "one stays on duty" in found.sentence()


def test_the_error_of_the_gate_widens_what_is_said_of_waits(service):
    row = _row(_explored(service, **ALONE))
    wide = _explored(service, gate=replace_of(OPEN, wait_error=0.4), **ALONE)
    assert _row(wide)["high"] - _row(wide)["low"] > 2 * (row["high"] - row["low"])
    assert "less what chance explains of it (40%), is added" in wide.sentence()


def replace_of(gate, **changed):
    return SimpleNamespace(**{**vars(gate), **changed})


def test_characteristics_that_waits_decide_are_judged(found):
    assert found.ctqs == ("quick {<i>", "stays") and found.unjudged == 1
    assert "1 characteristic not decided by waits or abandonment is left out" in found.sentence()
    chance = _row(found, measure="chance: stays")
    assert chance["estimate"] == 1 and 0.8 < chance["low"] < 1 == chance["high"]
    many, few = (_row(found, a, measure="chance: quick {<i>")["estimate"] for a in (2, -1))
    assert (many, few) == (1, 0)
    assert np.isnan(chance["change"])


def test_the_chance_is_the_share_of_draws_that_meet_the_target(service):
    """A target at the middle of the draws is met by half of them."""
    share = _row(_explored(service, **ALONE), measure="waited_longer")["estimate"]
    ctqs = CTQS.iloc[:1].assign(target=share)
    chance = _row(_explored(service, ctqs=ctqs, **ALONE), measure="chance: quick {<i>")
    assert 0.3 < chance["estimate"] < 0.7


def test_the_sentence_tells_the_nearest_steps(found):
    first, rest = found.sentence().split("\n")
    assert len(first) < 220 and f"The mean wait is {found.wait_s:.0f} s (90% interval" in first
    for words, row in (
        ("+1 agent at each site", _row(found, 1)),
        ("handling -10 %", _row(found, 0, 0.9)),
        ("demand +10 %", _row(found, 0, 1.0, 1.1)),
    ):
        assert f"{words}: {row['estimate']:.0f} s ({row['low']:.0f} to {row['high']:.0f})" in first
    assert "quick {<i>: " in rest and "24 draws" in rest


def test_as_it_is_alone_can_be_asked_for(service):
    found = _explored(service, ctqs=CTQS, **ALONE)
    first, rest = found.sentence().split("\n")
    assert len(found.table) == 5 and first.endswith(" as it is.")
    assert "+0 agents" not in rest and "quick {<i>: " in rest


def test_a_queue_that_would_not_end_is_left_open():
    log, staffing = make_log(4, weeks=10, per_day=(60, 60), agents=(3, 3), patience=np.inf)
    assert not log["abandoned"].any()
    service = learn(log, staffing=staffing, calendar=CALENDAR)
    found = _explored(service, agents=(-2,), service_factors=(1,), demand_factors=(1,), draws=8)
    row = _row(found, -2)
    assert np.isnan(row["estimate"]) and "no queue would end" in row["note"]
    assert _row(found)["estimate"] > 0 and found.sentence()
    plt.close(found.plot(plt.figure().gca()).figure)


def test_a_shut_gate_locks_the_explorer(service):
    with pytest.raises(Refusal, match="The explorer is locked: Shut"):
        _explored(service, gate=SHUT)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"agents": (0.5,)}, "agents holds 0.5"),
        ({"agents": (True,)}, "agents holds True"),
        ({"service_factors": (0,)}, "service_factors holds 0"),
        ({"demand_factors": (-1,)}, "demand_factors holds -1"),
        ({"demand_factors": (np.nan,)}, "demand_factors holds nan"),
        ({"demand_factors": ("more",)}, "demand_factors holds 'more'"),
        ({"confidence": 95}, "confidence is 95"),
    ],
)
def test_what_makes_no_sense_is_a_problem(service, more, words):
    with pytest.raises(Problem) as caught:
        _explored(service, **more)
    assert words in str(caught.value)


def test_the_same_chance_gives_the_same_answer(service):
    small = {"agents": (1,), "service_factors": (), "demand_factors": (1.1,), "draws": 8}
    pd.testing.assert_frame_equal(
        _explored(service, **small).table, _explored(service, **small).table
    )


def test_a_picture_is_drawn(found):
    axes = plt.figure().gca()
    title = found.plot(axes).get_title()
    assert title == "What would agents, handling and demand do to waits?"
    assert len(axes.get_xticks()) == 15 and "90% interval; hollow" in axes.get_xlabel()
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["demand -10 %", "demand as it is", "demand +10 %"]
    plt.close(axes.figure)


# --- customers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(service):
    world = explorer._World(service, OPEN, 120.0, (), most=1.5, weeks=2)
    rng = np.random.default_rng(2)
    return world.stage(service.parameters(draws=12, rng=rng), rng)


def test_fewer_customers_are_some_of_the_many(stage):
    most, some, few = (stage.crowd(demand) for demand in (1.5, 1.0, 0.5))
    counts = [np.isfinite(crowd.arrival_s).sum(axis=1) for crowd in (most, some, few)]
    assert np.all(counts[0] >= counts[1]) and np.all(counts[1] >= counts[2])
    assert counts[1].sum() / counts[0].sum() == pytest.approx(1 / 1.5, abs=0.02)
    for crowd in (some, few):
        for lane in range(5):
            there = np.isfinite(crowd.arrival_s[lane])
            at = np.searchsorted(stage.customers.arrival_s[lane], crowd.arrival_s[lane][there])
            assert np.all(np.diff(crowd.arrival_s[lane][there]) >= 0)
            for name in ("arrival_s", "service_s", "patience_s", "reason"):
                whole, part = getattr(stage.customers, name)[lane], getattr(crowd, name)[lane]
                assert np.array_equal(whole[at], part[there])


def test_demand_as_it_is_brings_as_many_as_the_log(stage, service, tables):
    log, _ = tables
    days = 12 * 2 * 5
    mean = np.isfinite(stage.crowd(1.0).arrival_s).sum() / days
    assert mean == pytest.approx(len(log) / log["arrived"].dt.date.nunique(), rel=0.08)


def test_agents_are_added_in_their_hours_alone(stage):
    now = stage.customers.agents
    assert np.array_equal(stage.agents(AS_IS), now)
    more = stage.agents(Change(agents=2, hours=(10, 12))) - now
    assert np.array_equal(np.unique(more, axis=0), [[0, 2, 2, 0]])
    assert stage.agents(Change(agents=-9)).min() == 1


def test_nobody_is_added_on_a_day_off(stage):
    off = replace(stage.customers, agents=np.zeros_like(stage.customers.agents))
    idle = replace(stage, customers=off)
    assert not idle.agents(Change(agents=2)).any() and not idle.agents(Change(agents=-2)).any()


def test_waits_by_hour_add_up_to_the_whole(stage):
    played = stage.play(Change(demand_factor=1.2))
    hourly, sums = stage.hourly(played), stage.sums(played)
    assert np.allclose(hourly.sum(axis=2), sums[:, :, 0])
    assert np.all(hourly[..., 1] > 0)


def test_a_draw_that_differs_only_by_chance_is_drawn_to_the_mean():
    """Weeks without noise leave levels as they are; noise alone leaves a tenth of the variance."""
    whole = np.full((2, 50, 3, 1), 10.0)
    steady = np.stack([whole * np.linspace(1, 2, 50)[None, :, None, None], whole], axis=-1)
    level, change = explorer._levels(steady, 0)
    assert np.allclose(level[0, :, 0], np.linspace(1, 2, 50)) and not change.any()
    noisy = np.stack([np.random.default_rng(1).poisson(10, whole.shape), whole], axis=-1)
    level, _ = explorer._levels(noisy, 0)
    plain = noisy[..., 0].sum(axis=2) / 30
    assert np.all(level.var(axis=1) < 0.5 * plain.var(axis=1))
    assert np.allclose(level.mean(axis=1), plain.mean(axis=1))


# --- sliders ----------------------------------------------------------------------------------


def _sliders(service, **more):
    more = {"draws": 8, "limit_s": 120, "ctqs": CTQS, "gate": OPEN} | more
    return sliders(service, rng=np.random.default_rng(1), **more)


@pytest.fixture
def board(service):
    return _sliders(service)


def test_moving_a_slider_redraws_words_and_picture(board):
    agents, _, handling, demand, _, words, picture = board.children
    seen = {(words.value, picture.value)}
    assert "As it is: customers wait" in words.value and "as moved" not in words.value
    for slider, value, told in (
        (agents, 1, "+1 agent at each site: customers wait"),
        (handling, -10, "+1 agent at each site, handling -10 %: "),
        (demand, 20, "+1 agent at each site, handling -10 %, demand +20 %: "),
    ):
        slider.value = value
        assert told in words.value and "as moved" in words.value
        seen.add((words.value, picture.value))
    assert len(seen) == 4
    assert picture.value.startswith('<img src="data:image/png;base64,iVBOR')
    assert 'alt="How long do customers wait, hour by hour? +1 agent at each site' in picture.value


def test_hours_narrow_where_agents_are_added(board):
    agents, hours, *_, words, picture = board.children
    before = picture.value
    hours.value = (10, 12)
    assert "As it is" in words.value and picture.value == before  # no agent is added
    agents.value = 1
    assert "+1 agent at each site from 10 to 12 o&#x27;clock" in words.value


def test_the_button_puts_everything_back(board):
    agents, hours, handling, demand, back, words, picture = board.children
    before = (words.value, picture.value)
    agents.value, handling.value, demand.value, hours.value = -1, 10, 10, (9, 10)
    assert "Where one agent was left, one stays" in words.value
    back.click()
    assert (words.value, picture.value) == before
    assert (agents.value, handling.value, demand.value, hours.value) == (0, 0, 0, (9, 13))


def test_the_sliders_say_what_the_grid_says(service):
    """The same draws and customers: more demand than the grid's most would draw others."""
    board = _sliders(service, demand_factors=(0.9, 1.1), draws=4)
    found = _explored(service, agents=(1,), service_factors=(0.9,), demand_factors=(1.1,), draws=4,
                      weeks=explorer.WEEKS_A_DRAW, ctqs=CTQS)  # fmt: skip
    agents, _, handling, demand, _, words, _ = board.children
    agents.value, handling.value, demand.value = 1, -10, 10
    row = _row(found, 1, 0.9, 1.1)
    assert f"{row['estimate']:.0f} s ({row['low']:.0f} to {row['high']:.0f})" in words.value
    moved = (format(row[name], "+.0f") for name in ("change", "change_low", "change_high"))
    assert "{} s ({} to {})".format(*moved) in words.value


def test_names_are_escaped_and_chances_shown(board):
    words = board.children[5].value
    assert "chance of the target: quick {&lt;i&gt;" in words and "<i>" not in words
    assert "chance of the target: stays" in words and "settled" not in words


def test_the_sliders_say_that_they_are_locked(service):
    board = _sliders(service, gate=SHUT)
    assert len(board.children) == 1
    assert "The explorer is locked: Shut &lt;b&gt;." in board.children[0].value
    assert "Demand moved." in board.children[0].value


def test_the_sliders_take_names_that_can_be_read(board):
    told = [slider.description for slider in board.children[:4]]
    assert told == [
        "Agents added at each site", "… between the hours", "Handling time, % more",
        "Demand, % more",
    ]  # fmt: skip
    spans = [(each.min, each.max, each.step) for each in board.children[:4]]
    assert spans == [(-2, 2, 1), (9, 13, 1), (-30, 30, 5), (-30, 30, 5)]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"agents": (1, 2)}, "agents goes from 1 to 2"),
        ({"agents": (0, 0)}, "agents goes from 0 to 0"),
        ({"service_factors": (1.1, 1.3)}, "service_factors goes from 1.1"),
        ({"demand_factors": 1.3}, "demand_factors is 1.3"),
        ({"demand_factors": (0.9, 99)}, "demand_factors holds 99"),
    ],
)
def test_a_range_must_hold_the_service_as_it_is(service, more, words):
    with pytest.raises(Problem) as caught:
        _sliders(service, **more)
    assert words in str(caught.value)


def test_as_many_draws_as_can_be_played_at_once(service):
    world = explorer._World(service, OPEN, 120.0, (), most=1.3, weeks=2)
    assert explorer._draws_a_move(world) == explorer.MOST_DRAWS
    rate = replace(service.arrivals, counts=service.arrivals.counts * 100)
    large = replace(world, service=replace(service, arrivals=rate))
    assert explorer._draws_a_move(large) == explorer.FEWEST_DRAWS


def test_without_ipywidgets_it_says_how_to_get_it(service, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(Problem, match="ipywidgets is not installed"):
        _sliders(service)
