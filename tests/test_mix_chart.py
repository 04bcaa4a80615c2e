"""Truth: a service that did not change while its mix did, and the other way round."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.case_mix import expected
from sqm.checks import Problem, Refusal
from sqm.methods.mix_chart import mix_chart

CHANGE = "2025-07-07"
BEFORE, AFTER = {"chat": 0.4, "call": 0.1}, {"chat": 0.3, "call": 0.05}


def made(rng, *, chats=0.5, bad=BEFORE, per_day=60):
    days = pd.date_range("2025-01-06", periods=280, freq="D").repeat(per_day)
    later = days >= pd.Timestamp(CHANGE)
    chat = rng.random(len(days)) < np.where(later, chats, 0.5)
    first, second = (np.where(chat, chance["chat"], chance["call"]) for chance in (BEFORE, bad))
    return pd.DataFrame(
        {
            "arrived": days,
            "channel": np.where(chat, "chat", "call"),
            "bad": rng.random(len(days)) < np.where(later, second, first),
        }
    )


def charted(records, rng, **more):
    given = expected(records, outcome="bad", mix=["channel"], until=CHANGE)
    return mix_chart(records, given=given, simulations=400, rng=rng, **more)


@pytest.fixture(scope="module")
def shifted():
    rng = np.random.default_rng(1)
    return made(rng, chats=0.9)


@pytest.fixture(scope="module")
def mixed(shifted):
    return charted(shifted, np.random.default_rng(1))


def test_a_change_of_mix_is_not_called_a_change_of_service(shifted, mixed):
    # chats rise from a half to nine tenths: 0.3 of the rise of their share, all of it mix
    share = (shifted["channel"] == "chat").groupby(shifted["arrived"] >= CHANGE).mean()
    truth = 0.3 * (share[True] - share[False])
    assert mixed.crude_low < truth < mixed.crude_high and mixed.crude_low > 0
    assert mixed.mix_low < truth < mixed.mix_high
    assert mixed.service_low < 0 < mixed.service_high
    assert mixed.worse + mixed.better == 0
    first = mixed.sentence().splitlines()[0]
    assert first.startswith("No change of the service is shown") and len(first) <= 220


def test_the_parts_add_up(mixed):
    assert mixed.crude == pytest.approx(mixed.mix_part + mixed.service)
    table = mixed.table
    base = table["baseline"]
    crude = np.average(table["crude"][base], weights=table["n"][base])
    assert crude == pytest.approx(mixed.before)
    # over the baseline as much is expected as was seen
    due = np.average(table["expected"][base], weights=table["n"][base])
    assert due == pytest.approx(mixed.before)
    assert table["rate"].to_numpy() == pytest.approx(
        (mixed.before + table["crude"] - table["expected"]).to_numpy()
    )


def test_a_change_of_service_is_found_behind_a_mix_that_hides_it():
    # at three quarters chats: 0.75 * 0.3 + 0.25 * 0.05 = 23.75 % where it was 25 %;
    # the same records would have gone wrong in 32.5 %: 8.75 points of service
    rng = np.random.default_rng(2)
    found = charted(made(rng, chats=0.75, bad=AFTER), rng)
    assert found.service_low < -0.0875 < found.service_high < 0
    assert found.better > 5 and found.worse == 0
    assert found.sentence().startswith("The service changed")
    assert charted(made(rng, bad=AFTER), rng, better="higher").worse > 0


def test_what_cannot_be_charted_is_said():
    rng = np.random.default_rng(3)
    records = made(rng, per_day=20)
    whole = expected(records, outcome="bad", mix=["channel"])
    with pytest.raises(Refusal, match="learnt from all weeks"):
        mix_chart(records, given=whole, rng=rng)
    with pytest.raises(Problem, match="other records"):
        mix_chart(records.iloc[1:], given=whole, rng=rng)
    late = expected(records, outcome="bad", mix=["channel"], until="2025-12-01")
    with pytest.raises(Refusal, match="before 2025-12-01"):
        mix_chart(records, given=late, rng=rng)
    short = expected(records, outcome="bad", mix=["channel"], until="2025-02-03")
    with pytest.raises(Refusal, match="12"):
        mix_chart(records, given=short, rng=rng)


def test_the_picture_shows_crude_and_adjusted(mixed):
    ax = mixed.plot(plt.figure().add_subplot())
    shown = ax.get_legend_handles_labels()[1]
    assert {"as counted", "limits", "at the baseline's mix"} <= set(shown)
    plt.close("all")
