"""Copies are found whatever their figures; what differs is left alone."""

import numpy as np
import pandas as pd
import pytest

from sqm.near_copies import _plain, _shingles, _signatures, near_copies


def copies(*texts):
    return near_copies(pd.Series(list(texts))).tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I paid 12.50 EUR on 3/4.", "i paid 9,99 eur on 12/11!!"),
        ("Ｒｅｆｕｎｄ please", "refund please"),
        ("退款 12 元，谢谢", "退款 99 元 谢谢"),
        ("🙂🙂", "🙂🙂"),
    ],
)
def test_figures_signs_and_widths_do_not_count(one, other):
    assert copies(one, other) == [0, 0]
    assert copies(one, "something else altogether here", one) == [0, 1, 0]


def test_the_index_names_the_text_that_is_copied():
    said = pd.Series(["a b c d", "x y z", "A, b c d."], index=["r", "s", "t"])
    assert near_copies(said).to_dict() == {"r": "r", "s": "s", "t": "r"}


def test_a_letter_with_another_ending():
    letter = " ".join(f"word{chr(97 + i)}" for i in range(26)) * 2
    assert copies(letter, letter + " and one more thing", "something else") == [0, 0, 2]


def test_shingles_by_hand():
    """Four words make two runs of three; two words one run; five characters one."""
    hashed, starts = _shingles(["a b c d", "a b", "退款金额错", "b c d"])
    assert starts.tolist() == [0, 2, 3, 4]
    assert len(hashed) == 5 and hashed[1] == hashed[4] != hashed[0]


def test_signatures_estimate_the_jaccard_similarity():
    """Of 100 words in a row, 98 runs; the first half of both texts is the same: 48 runs of 148."""
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(40):
        words = [f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in rng.permutation(600)]
        one = " ".join(words[:50] + words[100:150])
        other = " ".join(words[:50] + words[200:250])
        a, b = _signatures([one, other])
        errors.append((a == b).mean() - 48 / 148)
    # 64 hashes: each estimate has a standard error of .059, the mean of 40 one of .0093
    assert abs(np.mean(errors)) < 3 * 0.0093
    assert np.std(errors) < 0.09


def test_a_campaign_goes_with_its_first_letter():
    rng = np.random.default_rng(1)
    words = [f"{a}{b}{c}" for a in "bcdfg" for b in "aeiou" for c in "lmnrst"]
    letter = rng.permutation(words)[:60]
    texts = [" ".join([*letter, *rng.choice(words, 3)]) for _ in range(50)]
    others = [" ".join(rng.choice(words, 40)) for _ in range(50)]
    found = copies(*texts, *others)
    assert found == [0] * 50 + list(range(50, 100))


def test_blocks_do_not_change_the_answer(monkeypatch):
    texts = pd.Series([f"letter about {w} and the bill" for w in "abcabcabd"])
    whole = near_copies(texts)
    monkeypatch.setattr("sqm.near_copies.BLOCK", 2)
    assert near_copies(texts).equals(whole)


def test_empty_long_and_odd():
    assert near_copies(pd.Series([], dtype="str")).empty
    assert copies("...", "!!!", "waiting " * 100_000, "waiting " * 100_000) == [0, 1, 2, 2]
    assert _plain("...") == "..."
