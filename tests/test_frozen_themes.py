"""Frozen themes: what fits, what does not, and how often it is said wrongly."""

import io
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods import frozen_themes
from sqm.methods.frozen_themes import NONE, alert_of, fit_to_themes, frozen, placed_texts

MATTERS = {
    1: ["bill", "charge", "invoice", "amount", "euros", "twice", "paid", "account", "fee"],
    2: ["wait", "queue", "minutes", "line", "hold", "phone", "answer", "operator", "music"],
    3: ["technician", "visit", "repair", "router", "broken", "cable", "signal", "outage", "box"],
}
COMMON = ["again", "really", "service", "company", "week", "letter", "still", "people", "home"]
BREACH = ["breach", "leaked", "hackers", "password", "passport", "stolen", "criminals", "exposed"]


def letters(rng, n, matter=None, start="2025-01-01", days=180, label="C"):
    rows = []
    for i in range(n):
        theme = matter or int(rng.integers(1, 4))
        own = rng.choice(MATTERS[theme], 7) if theme in MATTERS else rng.choice(BREACH, 7)
        words = [*own, *rng.choice(COMMON, 4)]
        rng.shuffle(words)
        rows.append((f"{label}{i}", f"I am telling you that the {' '.join(words)} was.", theme))
    table = pd.DataFrame(rows, columns=["complaint", "text", "theme"])
    day = pd.to_timedelta(rng.integers(0, days, n), unit="D")
    return table.assign(opened=pd.Timestamp(start, tz="Europe/Madrid") + day, language="en")


@pytest.fixture(scope="module")
def old():
    return letters(np.random.default_rng(1), 300)


@pytest.fixture(scope="module")
def kept(old):
    terms = pd.DataFrame({"language": "en", "theme": [1, 2, 3], "terms": ["bill", "wait", "visit"]})
    members = old[["complaint", "language", "theme"]]
    return frozen(old, members, rng=np.random.default_rng(2), terms=terms)


def test_the_table_survives_csv(kept):
    page = kept.table.to_csv(index=False)
    again = pd.read_csv(io.StringIO(page))
    new = letters(np.random.default_rng(3), 80, start="2025-07-01", days=90)
    one, other = (fit_to_themes(new, table) for table in (kept.table, again))
    pd.testing.assert_frame_equal(one.table, other.table)
    assert one.sentence() == other.sentence()


def test_no_text_is_kept(old, kept):
    whole = kept.table.to_csv(index=False)
    assert not any(text in whole for text in old["text"])


def test_texts_come_to_their_own_theme(kept):
    new = letters(np.random.default_rng(4), 100)
    placed = placed_texts(new, kept.table)
    known = placed[placed["theme"].ne("") & placed["theme"].ne(NONE)]
    truth = new["theme"].iloc[known["place"]].astype(str).to_numpy()
    assert (known["theme"].to_numpy() == truth).mean() > 0.95


def test_nothing_new_gives_no_alarm_and_the_stated_share(kept):
    new = letters(np.random.default_rng(5), 400, start="2025-07-01")
    found = fit_to_themes(new, kept.table)
    assert found.alarms == ()
    assert found.misfits / found.judged == pytest.approx(0.05, abs=0.05)
    assert "still fit" in found.sentence().splitlines()[0]
    assert found.table.groupby("period")["count"].sum().sum() == found.judged
    assert alert_of(found)["state"].tolist() == ["quiet"]


def test_a_new_matter_is_found_in_its_month(kept):
    rng = np.random.default_rng(6)
    new = letters(rng, 240, start="2025-07-01")
    breach = letters(rng, 30, matter=9, start="2025-09-01", days=30, label="N")
    found = fit_to_themes(pd.concat([new, breach]), kept.table)
    assert found.alarms == ("English, 2025-09-01",)
    words = found.new_terms[0]
    assert sum(word in words for word in BREACH) >= 3
    assert "telling" not in words  # it stands in all of the texts, new or not
    first = found.sentence().splitlines()[0]
    assert first.startswith("Something new")
    assert len(first) <= 220
    row = alert_of(found, owner="Ana").loc[0]
    assert (row["state"], row["since"], row["owner"]) == ("worse", "2025-09-01", "Ana")
    assert row["note"] == words and row["false_alarm"] == found.false_alarm


def test_an_unmet_language_and_a_blank_text_are_counted_apart(kept):
    new = letters(np.random.default_rng(7), 60)
    other = new.head(3).assign(text=["等了很久没有人接听电话", "", "ok"], language="")
    found = fit_to_themes(pd.concat([new, other]), kept.table, language="language")
    assert (found.other_language, found.blank) == (2, 1)
    assert "Chinese" in found.other_languages
    assert found.judged + found.copies + found.short + 3 == 63


def test_a_campaign_counts_once(kept):
    new = letters(np.random.default_rng(8), 60)
    copies = pd.concat([new, *[new.head(1)] * 20])
    found = fit_to_themes(copies, kept.table)
    assert found.copies >= 20


def test_false_alarms_stay_below_what_is_said():
    """The p value of misfits is beta-binomial: k of n held-out texts, m new ones, no change."""
    rng = np.random.default_rng(9)
    n, m, k = 199, 60, 10
    hits = 0
    for _ in range(2000):
        held_out, new = rng.random(n), rng.random(m)
        limit = np.sort(held_out)[::-1][k - 1]
        p = frozen_themes._tail(int((new > limit).sum()), m, k, n + 1, 1.0)
        hits += p <= 0.05
    assert stats.binom.cdf(hits, 2000, 0.05) < 0.999  # not above 5 %
    assert hits > 20  # nor never


def test_lumps_make_the_alarm_slower():
    plain = frozen_themes._tail(12, 60, 10, 200, 1.0)
    assert frozen_themes._tail(12, 60, 10, 200, 3.0) > plain


def test_pictures(kept):
    assert kept.plot().get_title().endswith("?")
    plt.close("all")
    new = letters(np.random.default_rng(10), 90, start="2025-07-01")
    assert fit_to_themes(new, kept.table).plot().get_title().endswith("?")
    plt.close("all")
    assert "3 themes" in kept.sentence()


def test_a_word_of_fewer_than_five_texts_is_not_kept(old):
    text = old["text"].copy()
    text.iloc[:4] = "zubizarreta " + text.iloc[:4]
    names = frozen(old.assign(text=text), old, rng=np.random.default_rng(1)).table["name"]
    assert not names.str.contains("zub|bizar|arret").any()
    text.iloc[4] = "zubizarreta " + text.iloc[4]
    names = frozen(old.assign(text=text), old, rng=np.random.default_rng(1)).table["name"]
    assert "word:zubizarreta" in set(names)
    pairs = [chr(97 + i % 26) + chr(97 + i // 26) for i in range(len(old))]
    alone = [f"qq{pair}q ww{pair}w zz{pair}z" for pair in pairs]
    with pytest.raises(Refusal, match="No language can be frozen"):
        frozen(old.assign(text=alone), old, rng=np.random.default_rng(1))


def test_bad_input(old, kept):
    with pytest.raises(Problem, match="'complaint' of their own: they are the same"):
        frozen(old, pd.concat([old, old]), rng=np.random.default_rng(1))
    with pytest.raises(Refusal, match="No language"):
        frozen(old.head(20), old, rng=np.random.default_rng(1))
    with pytest.raises(Refusal, match="No language"):
        frozen(old.assign(text="same words here"), old, rng=np.random.default_rng(1))
    with pytest.raises(Refusal, match="No dated text"):
        fit_to_themes(old.assign(text=""), kept.table)
    with pytest.raises(Problem, match="misfit_rate"):
        fit_to_themes(old, kept.table, misfit_rate=0.5)
    with pytest.raises(Problem, match="no theme"):
        fit_to_themes(old, kept.table[~kept.table["name"].str.startswith("theme")])
    with pytest.raises(Problem, match="no times"):
        fit_to_themes(old.assign(opened="monday"), kept.table)


def test_one_text_set_aside_is_told_as_one(kept):
    one = replace(kept, copies=1, short=1)
    assert "Set aside: 1 near-copy and 1 text of fewer than 3 words" in one.sentence()
