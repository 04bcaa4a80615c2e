"""Needs in order, told and drawn."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from sqm.ranking import dots, heaviest, ranked

WEIGHTS = pd.DataFrame({"need": ["care", "speed", "price"], "estimate": [0.2, 0.6, 0.2]})


def test_equal_weights_share_a_rank_whatever_the_last_digit():
    table = ranked(WEIGHTS.assign(estimate=[0.2, 0.6, 0.2 + 1e-15]))
    assert table["need"].tolist() == ["speed", "care", "price"]
    assert table["rank"].tolist() == [1, 2, 2]


def test_the_heaviest_are_told_with_an_interval_where_there_is_one():
    table = ranked(WEIGHTS.assign(low=[np.nan, 0.5, 0.1], high=[np.nan, 0.7, 0.3]))
    words = heaviest(table, 0.95)
    assert words.startswith("Of 3 needs the heaviest is speed: 60.0 % (95% interval 50.0 to 70.0)")
    assert "then care: 20.0 %; the lightest price: 20.0 %." in words


def test_every_need_is_drawn():
    table = WEIGHTS.assign(low=0.1, high=0.7)
    ax = dots(plt.figure().subplots(), table, title="What weighs most?")
    assert len(ax.get_yticklabels()) == 3
    plt.close("all")
