"""Does the list of streams name what changed, and little else?"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods import streams as room
from sqm.methods.streams import alerts_of, listed_at, stream_counts, streams

WEEKS = pd.date_range("2024-01-01", periods=80, freq="7D")


def _steady(seed=1, number=12, extra=0.08, swing=1.0):
    rng = np.random.default_rng(seed)
    mean = np.linspace(3, 20, number)[:, None] * swing
    mean = np.broadcast_to(mean, (number, len(WEEKS)))
    return rng.poisson(mean * rng.gamma(1 / extra, extra, mean.shape)).astype(float)


def _long(counts, names=None, **columns):
    names = [f"stream {i}" for i in range(len(counts))] if names is None else names
    long = {"stream": np.repeat(names, counts.shape[1]), "period": np.tile(WEEKS, len(counts))}
    return pd.DataFrame(long | {"value": counts.ravel()} | columns)


@pytest.fixture(autouse=True, scope="module")
def _few_simulations():
    usual, room.SIMULATED = room.SIMULATED, 2_000
    yield
    room.SIMULATED = usual


@pytest.fixture(scope="module")
def planted():
    counts = _steady()
    counts[6, -3:] += 20
    found = streams(_long(counts), rng=np.random.default_rng(1))
    return counts, found


def test_false_discovery_by_hand():
    # sorted .005 .01 .03 .5 times 4/1 4/2 4/3 4/4: .02 .02 .04 .5
    assert listed_at(np.array([0.03, 0.5, 0.005, 0.01])) == pytest.approx([0.04, 0.5, 0.02, 0.02])


def test_a_planted_rise_is_named_with_its_size_and_its_first_week(planted):
    counts, found = planted
    first = found.table.loc[0]
    assert first["stream"] == "stream 6" and first["stands_out"] and first["q"] < 0.01
    assert first["observed"] == counts[6, -4:].sum()
    assert first["expected"] == pytest.approx(counts[6, :-4].mean() * 4, rel=0.15)
    assert first["excess_low"] < 60 < first["excess_high"]
    assert first["since"] == f"{WEEKS[-3]:%Y-%m-%d}"
    assert found.standing_out <= 2 and found.judged == 12


def test_the_sentence_and_the_picture_say_it(planted):
    _, found = planted
    answer = found.sentence().splitlines()[0]
    assert "stream 6" in answer and "2025-07-07" in answer and len(answer) <= 220
    assert "Where all are steady" in found.sentence()
    fig, ax = plt.subplots()
    assert found.plot(ax).get_title() == "Which streams stand out now?"
    assert len(ax.get_yticklabels()) == 12
    plt.close(fig)


def test_chances_of_steady_streams_are_what_they_say():
    below = {0.05: [], 0.01: []}
    way = room._Way()
    for seed in range(60):
        counts = _steady(seed=100 + seed, number=30, extra=0.1)
        alive = np.ones(counts.shape, dtype=bool)
        rest = np.zeros(len(WEEKS))
        found = room.latest(
            counts, days=WEEKS, opened=np.ones(len(WEEKS)), alive=alive, rest=rest, way=way
        )
        for chance in below:
            below[chance].append((found.chance <= chance).mean())
    assert np.mean(below[0.05]) == pytest.approx(0.05, abs=0.013)  # 1,800 chances: s.e. 0.005
    assert np.mean(below[0.01]) == pytest.approx(0.01, abs=0.007)


def test_the_stated_rate_of_false_lists_holds_for_steady_streams(planted):
    _, found = planted
    assert found.list_false_alarm < 0.2  # a false-discovery rate of 0.1: any in a tenth of weeks
    assert found.chance_05_found == pytest.approx(0.05, abs=0.02)


def test_a_rise_of_all_is_one_alarm():
    swing = np.ones(len(WEEKS))
    swing[-2:] = 2.0
    found = streams(_long(_steady(swing=swing)), rng=np.random.default_rng(1))
    alone = [
        streams(_long(each[None]), rng=np.random.default_rng(1)).standing_out
        for each in _steady(swing=swing)[6:9]
    ]
    assert found.total_chance < 0.001 and found.standing_out <= 1
    assert "above usual" in found.sentence().splitlines()[0]
    assert sum(alone) >= 2  # each alone would have been an alarm


def test_a_renamed_category_is_a_change_of_the_list_and_no_outbreak():
    counts = _steady()
    names = [f"stream {i}" for i in range(12)]
    new = np.where(np.arange(80) >= 78, counts[9], 0.0)
    old = np.where(np.arange(80) < 78, counts[9], 0.0)
    both = np.vstack([counts[:9], old, counts[10:], new])
    both[9, 78:] = 0
    long = _long(both, [*names, "stream 9, new name"])
    found = streams(long, rng=np.random.default_rng(1))
    out = found.table[found.table["stands_out"]]["stream"].tolist()
    assert "stream 9, new name" not in out and "stream 9, new name" in found.new
    assert found.breaks == (f"{WEEKS[78]:%Y-%m-%d}",) and found.ended == ("stream 9",)
    mended = long.replace({"stream": {"stream 9, new name": "stream 9"}})
    mended = mended.groupby(["stream", "period"], as_index=False)["value"].sum()
    again = streams(mended, rng=np.random.default_rng(1))
    assert again.new == () and again.judged == 12


def test_streams_are_ranked_by_what_they_cost():
    counts = _steady()
    counts[5, -3:] += 20
    counts[8, -3:] += 20
    cost = np.where(np.arange(12) == 5, 100.0, 1.0)[:, None] * counts
    long = _long(counts, costed=counts.ravel(), loss=cost.ravel())
    found = streams(long, rng=np.random.default_rng(1), loss="cost", currency="EUR")
    assert found.table["stream"].tolist()[0] == "stream 5"
    first = found.table.loc[0]
    assert first["expected_loss"] == pytest.approx(100 * first["excess"], rel=0.1)
    assert first["loss_low"] < first["expected_loss"] < first["loss_high"]
    assert "EUR" in found.sentence()
    assert streams(long, rng=np.random.default_rng(1), currency="EUR").currency == ""


def test_records_are_counted_once_and_immature_weeks_left_out():
    rng = np.random.default_rng(4)
    times = pd.Timestamp("2024-01-01", tz="Europe/Madrid") + pd.to_timedelta(
        rng.integers(0, 80 * 7 * 24 - 3, 20_000), unit="h"
    )
    records = pd.DataFrame(
        {
            "at": times,
            "site": rng.choice(["N", "S"], 20_000),
            "why": rng.choice(["$a", "b<", "c"], 20_000),
        }
    )
    records.loc[:9, "at"] = pd.NaT
    records.loc[10:14, "why"] = None
    counts = stream_counts(records, by=["site", "why"], time="at", mature_until="2025-06-30")
    assert counts["value"].sum() == 19_990 and counts.attrs["left_out"] == 10
    assert {"N · $a", "S · b<"} <= set(counts["stream"])
    found = streams(counts, rng=np.random.default_rng(1))
    assert found.immature == 2 and found.week == "2025-06-23" and found.left_out == 10
    assert found.total_observed == counts.loc[counts["mature"]].pipe(
        lambda c: c.loc[c["period"] > "2025-05-31", "value"].sum()
    )


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda c: pd.concat([c, c.iloc[:1]]), Problem, "twice"),
        (lambda c: c.assign(value=c["value"] + 0.5), Problem, "whole number"),
        (lambda c: c.assign(value=0.0), Refusal, "no record"),
        (lambda c: c[c["period"] < WEEKS[3]], Refusal, "3 weeks"),
        (lambda c: c.assign(period=c["period"].astype("str")), Problem, "not a date"),
        (lambda c: c.drop(columns="value"), Refusal, "value"),
        (lambda c: c.assign(period=c["period"].where(c.index > 0)), Problem, "without a stream"),
        (
            lambda c: c.assign(
                period=c["period"] + pd.to_timedelta((c.index == 5).astype(int), unit="D")
            ),
            Problem,
            "different days",
        ),
    ],
)
def test_bad_input_ends_in_words(change, error, said):
    with pytest.raises(error, match=said):
        streams(change(_long(_steady())), rng=np.random.default_rng(1))


def test_the_watch_hears_of_the_list_and_its_chance_is_not_counted_twice(planted):
    _, found = planted
    rows = alerts_of(found, owner="Ana", reaction="read them")
    assert rows.loc[0, ["source", "series", "state", "owner"]].tolist() == [
        "streams",
        "stream 6",
        "worse",
        "Ana",
    ]
    assert rows["false_alarm"].sum() == pytest.approx(found.list_false_alarm)
    assert rows["expected_loss"].isna().all()  # records are no money


def test_a_quiet_list_is_one_quiet_row():
    found = streams(_long(_steady(seed=4)), rng=np.random.default_rng(1))
    rows = alerts_of(found)
    assert found.standing_out == 0
    assert rows["state"].tolist() == ["quiet"]
    assert rows["false_alarm"].tolist() == [found.list_false_alarm]
