"""Drivers by group, against sums by hand and worlds whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats
from scipy.special import expit

from sqm.checks import Problem, Refusal
from sqm.methods import driver_segments as room
from sqm.methods.driver_segments import effects_by_segment
from sqm.regression import fit_logistic, fit_outcome


def stones(times=1):
    """Treatment of kidney stones: cured and not, by size (Charig et al. 1986, BMJ 292, 879-882).

    Open surgery (A) does better on small and on large stones, and worse in all.
    """
    cells = [
        ("small", "A", 81, 6), ("small", "B", 234, 36),
        ("large", "A", 192, 71), ("large", "B", 55, 25),
    ]  # fmt: skip
    rows = []
    for size, treatment, cured, not_cured in cells:
        rows += [[size, treatment, True]] * (cured * times)
        rows += [[size, treatment, False]] * (not_cured * times)
    return pd.DataFrame(rows, columns=["size", "treatment", "cured"])


def by_size(times=1):
    records = stones(times)
    fit = fit_logistic(
        records, drivers=["treatment"], outcome="cured", fixed="", cluster="",
        reference={"treatment": "B"},
    )  # fmt: skip
    return effects_by_segment(fit, records, segment="size")


def coefficients(found, term):
    rows = found.table[(found.table["term"] == term) & (found.table["measure"] == "coefficient")]
    return rows.set_index("segment")


@pytest.fixture(scope="module")
def paradox():
    return by_size(10)


def test_odds_ratios_by_hand():
    rows = coefficients(by_size(), "treatment=A")
    assert rows.loc["small", "ratio"] == pytest.approx(81 * 36 / (6 * 234))
    assert rows.loc["large", "ratio"] == pytest.approx(192 * 25 / (71 * 55))
    assert rows.loc["pooled", "ratio"] == pytest.approx(273 * 61 / (77 * 289))


def test_simpsons_paradox_raises_the_alarm(paradox):
    assert paradox.paradox == ("treatment=A",) and paradox.reversed == ()
    assert "Simpson" in coefficients(paradox, "treatment=A").loc["pooled", "alarm"]
    first = paradox.sentence().splitlines()[0]
    assert "1.23 to 2.08 within them" in first and len(first) <= 240
    assert "Simpson's paradox" in paradox.sentence()


def test_the_same_figures_of_fewer_patients_are_no_alarm():
    found = by_size()
    assert found.paradox == found.reversed == found.differing == ()
    assert "No driver of 'cured' differs clearly between 2 groups by size" in found.sentence()


def test_two_groups_are_compared_as_by_welch():
    # Welch: t of the difference, its degrees of freedom after Satterthwaite
    found = by_size()
    row = coefficients(found, "treatment=A").loc["pooled"]
    logs, variances, rows = [], [], []
    for a, b, c, d in ((81, 6, 234, 36), (192, 71, 55, 25)):
        n = a + b + c + d
        logs.append(np.log(a * d / (b * c)))
        variances.append((1 / a + 1 / b + 1 / c + 1 / d) * n / (n - 2))
        rows.append(n - 1)
    f = (logs[0] - logs[1]) ** 2 / sum(variances)
    df = sum(variances) ** 2 / sum(v**2 / n for v, n in zip(variances, rows, strict=True))
    assert (row["f"], row["df2"]) == pytest.approx((f, df), rel=1e-6)
    assert row["p"] == pytest.approx(stats.f.sf(f, 1, df))


def world(n=4000, *, seed=1, agents=60, slopes=(0.5, 0.5, 0.5), shared=True):
    rng = np.random.default_rng(seed)
    agent = rng.integers(0, agents, n)
    channel = rng.integers(0, 3, n) if shared else agent % 3
    records = pd.DataFrame(
        {
            "agent": pd.Series(agent).map("a{:02d}".format),
            "channel": np.array(["phone", "chat", "mail"])[channel],
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
        }
    )
    level = rng.normal(0, 0.4, agents)[agent]
    eta = -0.7 + level + np.array(slopes)[channel] * records["x"] + 0.5 * records["z"]
    return records.assign(complained=rng.random(n) < expit(eta))


def asked(records, **settings):
    given = {"drivers": ["x", "z"], "fixed": "", "cluster": "agent", **settings}
    return effects_by_segment(fit_logistic(records, **given), records)


def test_pooled_and_own_models_are_those_of_the_fit():
    records = world()
    rows = coefficients(asked(records), "x")
    own = fit_logistic(
        records[records["channel"] == "chat"], drivers=["x", "z"], fixed="", cluster="agent"
    )
    assert rows.loc["chat", "estimate"] == pytest.approx(own.b[1])
    assert rows.loc["chat", "high"] == pytest.approx(
        own.b[1] + own.quantile * np.sqrt(own.covariance[1, 1])
    )


def test_opposite_signs_and_swapped_ranks():
    found = asked(world(slopes=(1.0, -0.8, 0.0)))
    assert found.reversed == ("x",) and found.differing == ("x",)
    assert found.swapped == ("x / z",)
    assert "Opposite signs, both clear, in two groups: x" in found.sentence()
    spread = found.table[(found.table["measure"] == "spread") & (found.table["segment"] == "phone")]
    assert spread.set_index("driver").loc["x", "estimate"] == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("shared", [True, False])
def test_groups_that_agree_are_seldom_said_to_differ(shared):
    """40 worlds of one slope, agents with a level of their own: about 2 alarms."""
    below = 0
    for seed in range(40):
        records = world(900, seed=seed, agents=36, shared=shared)
        fit = fit_logistic(records, drivers=["x"], fixed="", cluster="agent")
        below += bool(effects_by_segment(fit, records).differing)
    assert below <= 9  # .9999 binomial limit


def test_a_group_too_small_has_a_note():
    records = world(2000)
    records.loc[:14, "channel"] = "fax"
    found = asked(records)
    row = found.table[found.table["segment"] == "fax"].iloc[0]
    assert found.fitted == 3 and found.unfitted == 1
    assert np.isnan(row["estimate"]) and row["note"] and row["records"] == 15
    assert "Without a model: fax" in found.sentence()


def test_the_segment_itself_and_what_does_not_vary_are_left_out():
    records = world(2000)
    records["ending"] = np.where(np.arange(2000) % 2, "left", "stayed")
    records.loc[records["channel"] == "chat", "ending"] = "stayed"
    found = asked(records, drivers=["x", "channel", "ending"])
    chat = found.table[found.table["segment"] == "chat"]
    assert set(chat["driver"]) == {"x"}
    assert set(coefficients(found, "ending=left").index) == {"pooled", "phone", "mail"}


def test_a_reference_that_a_group_lacks_is_noted():
    records = world(2000)
    records["ending"] = np.resize(["left", "stayed", "stayed", "called"], 2000)
    chat = records["channel"] == "chat"
    records.loc[chat & (records["ending"] == "stayed"), "ending"] = "called"
    found = asked(records, drivers=["x", "ending"], reference={"ending": "stayed"})
    rows = found.table[(found.table["segment"] == "chat") & (found.table["driver"] == "ending")]
    assert rows.loc[rows["measure"] == "coefficient", "estimate"].isna().all()
    assert (rows.loc[rows["measure"] == "coefficient", "note"] != "").all()


def test_rows_without_a_group_are_counted():
    records = world(2000)
    records.loc[:99, "channel"] = None
    found = asked(records)
    assert found.left_out == 100 and found.records == 1900
    assert "100 without a group left out" in found.sentence()


def test_other_kinds():
    records = world(1500)
    rng = np.random.default_rng(2)
    slope = records["channel"].map({"phone": 0.6, "chat": -0.6, "mail": 0.0}) * records["x"]
    records["complaints"] = rng.poisson(np.exp(slope))
    records["mark"] = np.clip(np.round(4 + slope + rng.normal(size=1500)), 1, 7)
    records["days"] = rng.exponential(np.exp(-slope))
    for outcome, kind in (("complaints", "count"), ("mark", "ordered"), ("days", "time")):
        fit = fit_outcome(
            records, drivers=["x", "z"], outcome=outcome, kind=kind, fixed="", cluster="agent"
        )
        found = effects_by_segment(fit, records)
        assert found.reversed == ("x",), kind
        assert room.RATIOS[kind] in found.sentence()


def test_names_of_any_letters():
    records = world(2000)
    records["channel"] = records["channel"].map(
        {"phone": "$ <b>电话</b> " * 9, "chat": "🙂", "mail": "é\n"}
    )
    found = asked(records)
    assert len(found.sentence().splitlines()[0]) <= 240
    found.plot(plt.figure().add_subplot())
    plt.close("all")


def test_picture(paradox):
    ax = paradox.plot(plt.figure().add_subplot())
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "treatment=A · pooled", "treatment=A · large", "treatment=A · small",
    ]  # fmt: skip
    assert ax.get_title().endswith("?") and "interval" in ax.get_xlabel()
    plt.close("all")


def test_refusals():
    records = world(600)
    fit = fit_logistic(records, drivers=["x"], fixed="", cluster="")
    with pytest.raises(Refusal, match="no column 'chanel'"):
        effects_by_segment(fit, records, segment="chanel")
    with pytest.raises(Refusal, match="60 groups"):
        effects_by_segment(fit, records, segment="agent")
    with pytest.raises(Refusal, match="1 group"):
        effects_by_segment(fit, records.assign(channel="phone"))
    with pytest.raises(Problem, match="rests on 600 records"):
        effects_by_segment(fit, records.head(50))
    rare = records.assign(channel=np.where(np.arange(600) < 10, "fax", "phone"))
    with pytest.raises(Refusal, match="Fewer than two groups of 'channel' can have a model"):
        effects_by_segment(fit, rare)


def test_clear_signs_are_clear_of_all_groups_and_terms():
    """No driver does anything in any of 18 groups: a clear sign each way comes by chance."""
    rng = np.random.default_rng(4)
    records = pd.DataFrame({"x": rng.normal(size=3600), "z": rng.normal(size=3600)})
    records["channel"] = [f"c{i % 18:02d}" for i in range(3600)]
    records["complained"] = rng.random(3600) < 0.4
    found = asked(records, cluster="")
    own = coefficients(found, "x").drop("pooled")
    assert (own["low"] > 0).any() and (own["high"] < 0).any()  # each by itself
    assert found.reversed == found.swapped == ()


def test_a_paradox_is_told_as_one(paradox):
    first = paradox.sentence().splitlines()[0]
    assert first.startswith("Pooled, treatment=A goes the other way than in each of 2 groups by")
