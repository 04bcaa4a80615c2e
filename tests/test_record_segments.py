"""Segments of records: planted ones are found, a continuum and chance give none."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods import record_segments as room
from sqm.methods.record_segments import record_segments


def records(rng, n=500, apart=1.0):
    """Three kinds that differ in two categories and two numbers; ``apart`` 0: none."""
    kind = rng.integers(0, 3, n)
    own = rng.random((2, n)) < 0.85 * apart
    names = np.array(["late", "bill", "rude"])
    channel = np.array(["web", "phone", "letter"])
    return pd.DataFrame(
        {
            "category": np.where(own[0], names[kind], rng.choice(names, n)),
            "channel": np.where(own[1], channel[kind], rng.choice(channel, n)),
            "amount": np.exp(rng.normal(size=n) + 2 * apart * kind),
            "resolution_d": np.exp(rng.normal(size=n) - 2 * apart * (kind == 1)),
            "cost": np.exp(rng.normal(size=n)),
            "outcome": rng.choice(["resolved", "rejected"], n),
        }
    ), kind


def continuum(rng, n=500):
    """One thing that all columns show more or less of."""
    one = rng.normal(size=n)
    each = [0.8 * one + 0.6 * rng.normal(size=n) for _ in range(4)]
    return pd.DataFrame(
        {
            "category": np.array(list("abcd"))[np.digitize(each[0], [-0.7, 0, 0.7])],
            "channel": np.array(list("abc"))[np.digitize(each[1], [-0.5, 0.5])],
            "amount": np.exp(each[2]),
            "resolution_d": np.exp(each[3]),
        }
    )


QUICK = {"k": (2, 3, 4), "resamples": 10}


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(1)
    table, kind = records(rng)
    return table, kind, record_segments(table, rng=np.random.default_rng(2), **QUICK)


def test_planted_kinds_are_found(planted):
    _, _, found = planted
    assert found.segments == 3
    assert found.separation > found.separation_by_chance
    assert found.stability >= 0.9
    sizes = found.table[found.table["kind"] == "size"]
    assert sizes["estimate"].sum() == pytest.approx(1)
    assert ((sizes["low"] < 1 / 3) & (sizes["high"] > 1 / 3)).sum() >= 2
    assert (sizes["stability"] >= sizes["chance"]).all()


def test_the_same_seed_gives_the_same_segments(planted):
    table, _, found = planted
    again = record_segments(table, rng=np.random.default_rng(2), **QUICK)
    pd.testing.assert_frame_equal(found.table, again.table)


@pytest.mark.parametrize("make", [lambda rng: records(rng, apart=0.0)[0], continuum])
def test_chance_and_a_continuum_give_none(make):
    rng = np.random.default_rng(3)
    found = record_segments(make(rng), rng=rng, **QUICK)
    assert found.segments == 0
    assert found.table.empty
    assert "No segments" in found.sentence()
    assert found.plot().get_title().endswith("?")
    plt.close("all")


def test_what_sets_a_segment_apart_is_told_of_the_other_half(planted):
    table, _, found = planted
    assert found.formed + found.described == len(table)
    levels = found.table[found.table["kind"] == "level"]
    assert levels["records"].max() < found.described
    shares = levels.groupby(["segment", "column"])["estimate"].sum()
    np.testing.assert_allclose(shares, 1)
    tells = found.table[found.table["tells"]]
    assert tells.groupby("segment").size().tolist() == [3, 3, 3]
    assert (tells["effect"].abs() > 0.5).all()


def test_cost_and_outcome_are_told_but_form_nothing(planted):
    table, _, found = planted
    cost = found.table[found.table["kind"] == "share of cost"]
    assert cost["estimate"].sum() == pytest.approx(1)
    assert (found.table["kind"] == "outcome").sum() == 6
    other = record_segments(table.assign(cost=0.0), rng=np.random.default_rng(2), **QUICK)
    one, two = (f.table[f.table["kind"] == "level"].reset_index(drop=True) for f in (found, other))
    pd.testing.assert_frame_equal(one, two)


def test_money_counts_by_rank(planted):
    table, _, found = planted
    other = record_segments(
        table.assign(amount=table["amount"] ** 3), rng=np.random.default_rng(2), **QUICK
    )
    sizes = [f.table.loc[f.table["kind"] == "size", "estimate"].tolist() for f in (found, other)]
    assert sizes[0] == sizes[1]


def test_blanks_are_said(planted):
    table, _, _ = planted
    table = table.copy()
    table.loc[::7, "amount"] = np.nan
    table.loc[::9, "channel"] = None
    found = record_segments(table, rng=np.random.default_rng(2), **QUICK)
    assert "amount 72" in found.sentence()
    assert "(blank)" in set(found.table["level"])


def test_a_column_that_another_decides_is_passed_over():
    table, _ = records(np.random.default_rng(4))
    site = np.resize([f"S{i}" for i in range(6)], len(table))
    region = np.where(np.char.endswith(site, "0") | np.char.endswith(site, "1"), "north", "south")
    read = room._read(table.assign(site=site, region=region, language="en"), room.COLUMNS)
    assert "site (it decides region)" in read.passed_over
    assert "language (one value)" in read.passed_over
    assert "product (not there)" in read.passed_over


def test_median_limits_by_hand():
    """Of 1 to 10 the 2nd and the 9th: P(2 <= Bin(10, 1/2) <= 8) = 0.979."""
    assert room._median_limits(np.arange(1, 11), 0.95) == (2.0, 9.0)


def test_the_records_by_degrees_have_the_columns_and_their_correlation():
    table = continuum(np.random.default_rng(5), 3000)
    mixed = room._Mixed.of(table)
    blocks = mixed.blocks(table)
    first = (np.hstack(blocks) @ room._axes_of(blocks, 1)[1])[:, 0]
    drawn = room._Degrees.of(mixed, first, np.random.default_rng(6)).drawn(np.random.default_rng(7))
    assert drawn["category"].value_counts().to_dict() == table["category"].value_counts().to_dict()
    rank = [t[["amount", "resolution_d"]].corr("spearman").iloc[0, 1] for t in (table, drawn)]
    assert rank[1] == pytest.approx(rank[0], abs=0.06)


def test_the_sentence_and_the_picture(planted):
    *_, found = planted
    first = found.sentence().splitlines()[0]
    assert first.startswith("3 kinds")
    assert len(first) <= 220
    assert found.plot().get_title().endswith("?")
    plt.close("all")


def test_bad_input():
    table, _ = records(np.random.default_rng(8), 300)
    rng = np.random.default_rng(1)
    with pytest.raises(Refusal, match="segments need two") as caught:
        named = table.assign(category=np.arange(300).astype(str))
        record_segments(named, rng=rng, columns=["category", "channel"])
    assert "category (nearly every record has its own)" in caught.value.mend
    with pytest.raises(Refusal, match="segments need two"):
        record_segments(table.assign(category="x"), rng=rng, columns=["category", "channel"])
    with pytest.raises(Refusal, match="fewer than the 200"):
        record_segments(table.head(50), rng=rng)
    with pytest.raises(Problem, match="k is"):
        record_segments(table, rng=rng, k=[1])
