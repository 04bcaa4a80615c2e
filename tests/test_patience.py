"""Patience from waits of which many were cut short by an answer."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from small_service import CALENDAR, make_log

from sqm import patience
from sqm.patience import learn_patience, weibull
from sqm.service_model import learn


def test_kaplan_meier_by_hand():
    # 120 wait: at 1 s 30 leave, at 2 s 30 are answered, at 3 s 30 of the 60 left leave
    waited = np.repeat([1.0, 2.0, 3.0, 4.0], 30)
    left = np.repeat([True, False, True, False], 30)
    found = learn_patience(waited, left, np.arange(120), 120)
    time, share, low, high = found.survival
    assert time == (1.0, 3.0)
    assert share == pytest.approx((0.75, 0.375))
    assert all(a < b < c for a, b, c in zip(low, share, high, strict=True))
    assert found.naive_s == 2.0 and found.at_once.sum() == 0


def test_censored_exponential_patience_is_total_waiting_over_leavers():
    """With shape 1 the scale is the closed form; the profile may prefer a neighbour of 1."""
    log, staffing = make_log(5)
    found = learn(log, staffing=staffing, calendar=CALENDAR)
    closed_form = log["wait_s"].sum() / log["abandoned"].sum()
    one = int(np.argmin(abs(patience.SHAPES - 1)))
    power = found.patience.power_sum.sum(axis=0)[one] / found.patience.leavers.sum()
    assert power * patience.PATIENCE_UNIT_S == pytest.approx(closed_form, rel=1e-3)


def test_the_shape_of_patience_is_not_tied_to_the_shapes_tried():
    """Against a search of the censored likelihood itself."""
    log, _ = make_log(5)
    left = log["abandoned"].to_numpy()
    known = learn_patience(log["wait_s"].to_numpy(), left, np.zeros(len(log), int), 1)
    shape, scale = weibull(known, np.ones((1, 1)))
    t = np.where(left, np.maximum(log["wait_s"], 0.5), log["wait_s"]) / 600

    def against(k):
        power = (t**k).sum() / left.sum()
        return -(left.sum() * np.log(k / power) + (k - 1) * np.log(t[left]).sum())

    best = minimize_scalar(against, bounds=(0.5, 2), method="bounded", options={"xatol": 1e-7}).x
    assert shape[0] == pytest.approx(best, rel=1e-3)
    assert scale[0] == pytest.approx(600 * ((t**best).sum() / left.sum()) ** (1 / best), rel=1e-3)


def test_who_leaves_at_once_is_counted():
    waited = np.array([0.0, 0.4, 1.0, 5.0])
    found = learn_patience(waited, np.array([True, True, True, False]), np.zeros(4, int), 1)
    assert found.at_once.tolist() == [2]


def test_nobody_left():
    found = learn_patience(np.ones(5), np.zeros(5, bool), np.zeros(5, int), 1)
    _, scale = weibull(found, np.ones((1, 1)))
    assert np.isinf(scale[0]) and found.survival == ((), (), (), ()) and np.isnan(found.naive_s)
