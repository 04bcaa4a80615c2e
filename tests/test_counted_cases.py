"""The share of events among counted cases, and their parts, by hand and by simulation."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm import interval
from sqm.checks import Problem, Refusal
from sqm.methods.counted_cases import event_parts, event_series, event_share


@pytest.fixture
def rng():
    return np.random.default_rng(5)


WEEKS = pd.date_range("2025-01-06", periods=20, freq="7D")


def sums(rng, *, units=12, weeks=20, parts=4, n=2000, between_units=0.2, between_weeks=0.15):
    """Counted cases whose share differs by unit, week and part."""
    rows = pd.MultiIndex.from_product(
        [WEEKS[:weeks], [f"u{u}" for u in range(units)], [f"p{p}" for p in range(parts)]],
        names=["period", "unit", "part"],
    ).to_frame(index=False)
    unit = rng.normal(0, between_units, units)[pd.factorize(rows["unit"])[0]]
    week = rng.normal(0, between_weeks, weeks)[pd.factorize(rows["period"])[0]]
    score = -2 + unit + week + 0.5 * pd.factorize(rows["part"])[0]
    return rows.assign(n=n, events=rng.binomial(n, 1 / (1 + np.exp(-score))))


def test_without_units_and_periods_each_case_counts_for_itself():
    found = event_share(pd.DataFrame({"n": [400, 600], "events": [30, 70]}))
    low, high = interval.wilson(0.1, 1000)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.1, low, high))
    assert "No unit or period is known; how others differ cannot be told" in found.sentence()
    one = event_share(pd.DataFrame({"unit": "N", "period": WEEKS[:1], "n": 400, "events": 30}))
    assert "Only one unit and one period are known; how others" in one.sentence()
    assert "each of the 400 cases for itself" in one.sentence()


def test_the_interval_is_that_of_the_single_cases(rng):
    """Expanded to one row a case, `interval.share` clustered by unit and period says the same."""
    counts = sums(rng, units=5, weeks=6, parts=1, n=40)
    counts["n"] = rng.integers(20, 60, len(counts))
    counts["events"] = np.minimum(counts["events"], counts["n"])
    cases = counts.loc[counts.index.repeat(counts["n"])]
    place = cases.groupby(level=0).cumcount()
    hits = pd.Series((place < cases["events"]).to_numpy())
    clusters = cases[["unit", "period"]].apply(lambda column: pd.factorize(column)[0])
    expected = interval.share(hits, clusters=clusters.reset_index(drop=True))
    found = event_share(counts)
    assert found.effective_n == pytest.approx(expected.effective_n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=2e-3)


def test_a_hundred_million_cases_are_not_a_hundred_million_pieces_of_news(rng):
    counts = sums(rng, n=100_000)
    found = event_share(counts)
    widths = (found.table["high"] - found.table["low"]).tolist()
    assert found.n == 96_000_000
    assert widths[0] < 0.001 < 0.02 < widths[-1]
    assert found.table["alike"].tolist()[1:] == [
        "the period",
        "the unit",
        "the unit and the period",
    ]
    assert "12 units and 20 periods count as a sample" in found.sentence()
    assert "approximate" not in found.sentence()
    assert "approximate" in event_share(sums(rng, units=4)).sentence()


def test_until_and_what_is_unknown(rng):
    counts = sums(rng, weeks=4).astype({"n": float})
    counts.loc[0, "n"] = np.nan
    found = event_share(counts, until="2025-01-20")
    assert (found.periods, found.left_out) == (2, 1)
    assert "1 sum without cases or events known" in found.sentence()


def test_nothing_or_everything_is_an_event():
    for events, end in ((0, "low"), (500, "high")):
        found = event_share(pd.DataFrame({"unit": ["a", "b"], "n": 500, "events": events}))
        assert getattr(found, end) == pytest.approx(events / 500)
        assert found.low < found.high


@pytest.mark.parametrize(("events", "said"), [(0, "No event was seen"), (10_000_000, "Every case")])
def test_where_nothing_or_everything_is_an_event_each_unit_counts_as_one_case(events, said):
    """120 million cases of 12 units without an event do not show how alike the units are."""
    counts = pd.DataFrame({"unit": list("abcdefghijkl"), "n": 10_000_000, "events": events})
    found = event_share(counts)
    assert (found.low, found.high) == interval.wilson(found.estimate, 12)
    assert found.interval_n == 12
    assert said in found.sentence()
    assert "that of 12 independent cases" in found.sentence()


def test_the_sentence_says_from_how_many_cases_the_interval_is_made():
    """Two units that happen to agree: (1.96 / 12.706)^2 of 200,000 cases."""
    found = event_share(pd.DataFrame({"unit": ["a", "b"], "n": 100_000, "events": 10_000}))
    assert found.interval_n == pytest.approx(200_000 * (1.959964 / 12.706205) ** 2, rel=1e-5)
    assert "that of 4,759 independent cases" in found.sentence()
    assert (found.low, found.high) == interval.wilson(0.1, found.interval_n)


@pytest.mark.parametrize("ask", [event_share, event_parts])
@pytest.mark.parametrize(("n", "events"), [([5, 5], [6, 1]), ([5, 5], [-1, 1])])
def test_counts_that_cannot_be_are_a_problem(ask, n, events):
    with pytest.raises(Problem, match="events below 0 or above the cases"):
        ask(pd.DataFrame({"part": ["a", "b"], "n": n, "events": events}))


@pytest.mark.parametrize(
    ("ask", "counts"),
    [
        (event_share, {"n": [0], "events": [0]}),
        (event_parts, {"part": ["a"], "n": [5], "events": [1]}),
        (event_parts, {"part": ["a", "b"], "n": [5, 5], "events": [0, 0]}),
        (event_parts, {"part": [str(n) for n in range(301)], "n": 5, "events": 1}),
        (event_series, {"period": pd.to_datetime([None]), "n": [5], "events": [1]}),
    ],
)
def test_what_cannot_be_told_is_refused(ask, counts):
    with pytest.raises(Refusal):
        ask(pd.DataFrame(counts))


def test_parts_are_ranked_by_events_and_rated_by_cases(rng):
    counts = sums(rng)
    counts.loc[counts["part"] == "p0", ["n", "events"]] *= 20  # the largest, with the lowest rate
    found = event_parts(counts)
    by = counts.groupby("part")[["n", "events"]].sum()
    assert found.table["part"].tolist() == by["events"].sort_values(ascending=False).index.tolist()
    assert found.table["part"].iloc[0] == "p0"
    assert found.highest == "p3"
    rates = found.table.set_index("part")["rate"]
    assert rates.to_dict() == pytest.approx((by["events"] / by["n"]).to_dict())
    assert found.table["cumulated_share"].iloc[-1] == pytest.approx(1)
    assert "highest rate has p3" in found.sentence()


def test_ranks_overlap_where_units_and_weeks_differ_and_not_where_they_do_not(rng):
    same = pd.DataFrame({"part": ["a", "b"], "n": 1_000_000, "events": [100_000, 101_500]})
    assert event_parts(same).table["rank_high"].tolist() == [1, 2]
    spread = sums(rng, parts=1, units=20)
    both = pd.concat([spread.assign(part=part) for part in "ab"], ignore_index=True)
    both["events"] = rng.binomial(both["n"], np.clip(rng.normal(0.12, 0.04, len(both)), 0.01, 1))
    assert event_parts(both).table["rank_high"].tolist() == [2, 2]


def with_rare_parts(rng):
    """Parts of all units, of three, of one, and of one unit in one week: a single case."""
    counts = sums(rng, parts=1)
    some = counts[counts["unit"].isin(["u0", "u1", "u2"])].assign(part="three")
    one = counts[counts["unit"] == "u0"].assign(part="one")
    case = counts.head(1).assign(part="case", n=1, events=1)
    return pd.concat([counts, some, one, case], ignore_index=True)


def test_a_part_that_was_seen_in_one_unit_has_no_interval_and_an_open_rank(rng):
    found = event_parts(with_rare_parts(rng))
    rows = found.table.set_index("part")
    limits = ["low", "high", "rate_low", "rate_high"]
    assert rows.loc[["one", "case"], limits].isna().all(axis=None)
    assert rows.loc[["p0", "three"], limits].notna().all(axis=None)
    assert rows["groups"].to_dict() == {"p0": 12, "three": 3, "one": 1, "case": 1}
    assert rows.loc["one", "note"] == "seen in one unit only"
    assert rows.loc["case", "note"] == "seen in one unit and one period only"
    assert rows.loc[["one", "case"], ["rank_low", "rank_high"]].to_numpy().tolist() == [[1, 4]] * 2
    assert found.highest in ("p0", "three")
    assert found.may_be_highest == 4
    said = found.sentence()
    assert "Any of 4 parts may have the highest rate" in said
    assert "2 parts, such as one, were seen in one unit or period only" in said
    found.plot(plt.subplots()[1])


def test_the_interval_of_a_part_rests_on_the_units_it_was_seen_in(rng):
    """By units alone: the part of three units is as good as those three by themselves."""
    counts = with_rare_parts(rng).drop(columns="period")
    rows = event_parts(counts).table.set_index("part")
    alone = event_share(counts[counts["part"] == "three"])
    limits = rows.loc["three", ["rate", "rate_low", "rate_high"]].tolist()
    assert limits == pytest.approx([alone.estimate, alone.low, alone.high])


def test_where_no_part_has_an_interval_none_is_the_highest():
    counts = pd.DataFrame({"unit": ["N", "S"], "part": ["a", "b"], "n": 9, "events": [1, 5]})
    found = event_parts(counts)
    assert found.highest == ""
    assert "none can be said to be the highest" in found.sentence()
    assert "Most events lie in b: 83.33 % (no interval) of 6, one of 2" in found.sentence()


def test_sums_of_parts_that_are_not_known_are_counted(rng):
    counts = sums(rng, weeks=4).astype({"n": float})
    counts.loc[[0, 5], "n"] = np.nan
    counts.loc[5, "part"] = None
    assert "2 sums without cases or events known are left out" in event_parts(counts).sentence()


def test_many_groups_and_parts_are_summed_without_laying_them_all_out(rng):
    """Block by block as in one go: the covariance of shares, by hand for the last unit."""
    units, parts = 10_000, 3
    counts = pd.DataFrame({"unit": np.repeat(np.arange(units), parts), "n": 100})
    counts["part"] = np.tile(list("abc"), units)
    counts["events"] = rng.binomial(100, 0.1, len(counts))
    row = event_parts(counts).table.set_index("part").loc["a"]
    by = counts["events"].to_numpy(dtype=float).reshape(units, parts)
    share = by[:, 0].sum() / by.sum()
    residual = by[:, 0] - share * by.sum(axis=1)
    variance = residual @ residual * units / (units - 1) / by.sum() ** 2
    few = 1.959963985 / stats.t.ppf(0.975, units - 1)
    n = min(by.sum(), share * (1 - share) / variance)
    assert (row["low"], row["high"]) == pytest.approx(interval.wilson(share, n * few**2))


def test_events_without_a_part_are_counted(rng):
    counts = sums(rng)
    counts.loc[counts["part"] == "p3", "part"] = None
    found = event_parts(counts)
    assert found.not_recorded == counts.loc[counts["part"].isna(), "events"].sum()
    assert f"{found.not_recorded:,} events without a part" in found.sentence()


def test_the_series_is_one_the_charts_take(rng):
    from sqm.methods.charts import control_charts, steadiness

    counts = sums(rng)
    counts.loc[counts["period"] == WEEKS[-1], "events"] *= 2
    series = event_series(counts, mature_until="2025-05-19")
    assert series["n"].unique().tolist() == [12 * 4 * 2000]
    assert series["mature"].tolist() == [True] * 19 + [False]
    charts = control_charts(event_series(counts), rng=rng).table
    assert bool(charts["signal"].iloc[-1])
    weeks = series.rename(columns={"series": "ctq", "value": "defects"})
    assert len(steadiness(weeks, rng=rng, simulations=200).table) == 1


def test_pictures(rng):
    counts = sums(rng)
    for found, last in (
        (event_share(counts), "the unit and the period"),
        (event_parts(counts), "p0"),
    ):
        names = found.plot(plt.subplots()[1]).get_yticklabels()
        assert (len(names), names[-1].get_text()) == (4, last)
