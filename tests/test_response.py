"""Who answered, and what the silent would have to say."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.response import late_answers, response_rate, tipping_point


@pytest.fixture
def invited():
    rng = np.random.default_rng(4)
    n = 1200
    when = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 365, n), unit="D")
    month = when.month.to_numpy()
    return pd.DataFrame(
        {
            "respondent": [f"Q{i}" for i in range(n)],
            "invited": when,
            "site": rng.choice(["N1", "N2", "<$ 站>"], n),
            "channel": rng.choice(["phone", "chat"], n),
            "answered": pd.array(rng.random(n) < 0.5 - 0.02 * month, dtype="boolean"),
        }
    )


def test_the_rate_is_wilsons_and_groups_add_up(invited):
    found = response_rate(invited)
    hits = int(invited["answered"].sum())
    assert (found.answered, found.invited) == (hits, 1200)
    assert (found.low, found.high) == pytest.approx(wilson(hits / 1200, 1200))
    sums = found.table.groupby("group")["answered"].sum()
    assert set(sums.index) == {"all", "site", "channel", "month"}
    assert (sums == hits).all()
    assert f"{hits:,} of 1,200 invitations" in found.sentence()


def test_the_trend_is_the_quasi_binomial_of_statsmodels(invited):
    found = response_rate(invited)
    months = found.table[found.table["group"] == "month"]
    y = np.column_stack([months["answered"], months["invited"] - months["answered"]])
    fit = sm.GLM(y, sm.add_constant(np.arange(12.0)), family=sm.families.Binomial()).fit()
    assert found.odds_ratio == pytest.approx(np.exp(fit.params[1]), rel=1e-8)
    n, hits, p = months["invited"], months["answered"], fit.fittedvalues
    dispersion = ((hits - n * p) ** 2 / (n * p * (1 - p))).sum() / 10
    assert found.dispersion == pytest.approx(dispersion, rel=1e-8)
    # Student's 0.975 quantile of 10 degrees of freedom
    half = fit.bse[1] * dispersion**0.5 * 2.2281388519649385
    assert np.log(found.odds_high) == pytest.approx(fit.params[1] + half, rel=1e-6)
    assert found.change_high < 0
    assert "the rate fell" in found.sentence()


def test_few_periods_have_no_trend(invited):
    found = response_rate(invited[invited["invited"].dt.month < 3])
    assert found.periods == 0
    assert np.isnan(found.change)
    assert "too few periods" in found.sentence()


def test_clusters_widen_the_interval(invited):
    rng = np.random.default_rng(8)
    sites = rng.integers(0, 20, len(invited))
    rate = rng.beta(2, 3, 20)[sites]
    data = invited.assign(site=sites.astype(str), answered=rng.random(len(invited)) < rate)
    plain, wide = response_rate(data), response_rate(data, cluster="site")
    assert wide.high - wide.low > 1.5 * (plain.high - plain.low)


def test_a_survey_is_no_list_of_invitations(invited):
    with pytest.raises(Refusal, match="nobody who stayed silent"):
        response_rate(invited[invited["answered"]])
    with pytest.raises(Refusal, match="holds times"):
        response_rate(invited.assign(answered=invited["invited"]))
    with pytest.raises(Refusal, match="no column 'answered'"):
        response_rate(invited.drop(columns="answered"))


def test_unknown_answers_are_left_out(invited):
    invited.loc[:9, "answered"] = pd.NA
    found = response_rate(invited)
    assert (found.unknown, found.invited) == (10, 1190)
    assert "10 without a record" in found.sentence()


def test_at_the_tipping_point_all_together_meet_the_threshold():
    survey = pd.DataFrame({"satisfaction": np.repeat([4.0, 5, 6, 7], 50)})
    found = tipping_point(survey, invited=500, threshold=5, points=(1, 7))
    assert found.response * 5.5 + (1 - found.response) * found.estimate == pytest.approx(5)
    assert found.estimate == pytest.approx((5 - 0.4 * 5.5) / 0.6)
    at = np.interp(found.estimate, found.table["silent"], found.table["estimate"])
    assert at == pytest.approx(5)
    line = found.table.set_index("silent")
    assert np.interp(found.low, line.index, line["high"]) == pytest.approx(5, abs=2e-3)
    assert np.interp(found.high, line.index, line["low"]) == pytest.approx(5, abs=2e-3)
    assert f"average {found.estimate:.2f} (95% interval" in found.sentence()
    assert (found.least, found.most) == pytest.approx((0.4 * 5.5 + 0.6, 0.4 * 5.5 + 4.2))


def test_a_share_and_an_answer_that_nothing_overturns():
    survey = pd.DataFrame({"satisfaction": [7.0] * 90 + [2.0] * 10})
    found = tipping_point(survey, invited=110, threshold=0.7, points=(1, 7), satisfied_from=6)
    assert found.estimate == pytest.approx((0.7 - 90 / 110) / (10 / 110))
    assert found.sentence().startswith("Nothing that the silent could say")
    assert "90.0 %" in found.sentence()


def test_everyone_satisfied_still_has_an_interval():
    survey = pd.DataFrame({"satisfaction": [7.0] * 20})
    found = tipping_point(survey, invited=60, threshold=0.7, points=(1, 7), satisfied_from=6)
    assert found.low < found.high
    assert found.answered_low < 1
    assert "nan" not in found.sentence()


def test_a_mean_without_any_spread_is_refused():
    survey = pd.DataFrame({"satisfaction": [7.0] * 20})
    with pytest.raises(Refusal, match="Everyone who answered 'satisfaction' gave 7"):
        tipping_point(survey, invited=60, threshold=5, points=(1, 7))


def test_limits_off_the_scale_and_missing_limits_are_explained():
    many = pd.DataFrame({"satisfaction": [7.0] * 52 + [2.0] * 8})
    found = tipping_point(many, invited=210, threshold=0.26, points=(1, 7), satisfied_from=6)
    assert found.low < 0 <= found.estimate
    assert "A limit off the scale means" in found.sentence()
    nearly = pd.DataFrame({"satisfaction": [2.0, 7.0] * 500})
    found = tipping_point(nearly, invited=1001, threshold=0.5, points=(1, 7), satisfied_from=6)
    assert not np.isfinite(found.low)
    assert "(no interval: too few answered, or too few not)" in found.sentence()


def test_clusters_widen_the_tipping_point():
    rng = np.random.default_rng(2)
    sites = rng.integers(0, 15, 300)
    score = np.clip(np.round(5 + rng.normal(size=15)[sites] + rng.normal(size=300)), 1, 7)
    survey = pd.DataFrame({"satisfaction": score, "site": sites.astype(str)})
    ask = {"invited": 900, "threshold": 4, "points": (1, 7)}
    plain, wide = tipping_point(survey, **ask), tipping_point(survey, cluster="site", **ask)
    assert wide.high - wide.low > 1.5 * (plain.high - plain.low)
    assert "15 clusters" in wide.sentence()


def test_tipping_points_that_cannot_be():
    survey = pd.DataFrame({"satisfaction": [4.0, 5, 6]})
    with pytest.raises(Problem, match=r"but 2 were invited.\n  To mend: complete the list"):
        tipping_point(survey, invited=2, threshold=5, points=(1, 7))
    with pytest.raises(Refusal, match="Everyone"):
        tipping_point(survey, invited=3, threshold=5, points=(1, 7))
    with pytest.raises(Problem, match="scale is said"):
        tipping_point(survey, invited=9, threshold=5, points=(1, 5))
    with pytest.raises(Problem, match="threshold 9"):
        tipping_point(survey, invited=9, threshold=9, points=(1, 7))


def test_those_who_answer_late():
    day = pd.Timestamp("2025-01-01")
    who = [str(i) for i in range(90)]
    survey = pd.DataFrame(
        {
            "respondent": who,
            "answered": [day + pd.Timedelta(days=1 + i / 10) for i in range(90)],
            "satisfaction": [6.0, 7.0] * 15 + [5.0, 6.0] * 15 + [4.0, 5.0] * 15,
        }
    )
    invited = pd.DataFrame({"respondent": [*who, "silent"], "invited": day})
    found = late_answers(survey, invited=invited)
    assert found.difference == pytest.approx(-2)
    assert found.high < 0
    assert "give a lower satisfaction" in found.sentence()
    with pytest.raises(Refusal, match="thirds"):
        late_answers(survey[:9], invited=invited)
    flat = survey.assign(satisfaction=np.repeat([6.0, 5.0, 4.0], 30))
    with pytest.raises(Refusal, match="the same answer throughout"):
        late_answers(flat, invited=invited)
    assert found.plot(plt.figure().subplots()).get_title().endswith("?")
    plt.close("all")


def test_pictures_and_first_lines(invited):
    survey = pd.DataFrame({"satisfaction": np.repeat([4.0, 5, 6, 7], 50)})
    for found in (
        response_rate(invited, period="week"),
        tipping_point(survey, invited=500, threshold=5, points=(1, 7)),
        tipping_point(survey, invited=500, threshold=0.4, points=(1, 7), satisfied_from=6),
    ):
        ax = found.plot(plt.figure().subplots())
        assert ax.get_title().endswith("?")
        assert ax.get_xlabel()
        assert len(found.sentence().splitlines()[0]) <= 220
        plt.close("all")
