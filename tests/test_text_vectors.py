"""Texts about the same lie close together, and a space can be written down and read back."""

import io

import numpy as np
import pandas as pd
import pytest

from sqm import text_vectors as room
from sqm.checks import Problem
from sqm.text_vectors import TextSpace, as_read, count, learnt, placed, read_texts

BILL, LINE = "invoice charged twice refund wrong amount", "line busy nobody answered queue minutes"
ZH = ["账单扣款重复", "退款金额错误", "排队等候电话", "电话没人接听"]


def letters(n=60, seed=1):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.permutation(words.split())[:4]) for words in [BILL, LINE] * (n // 2)]


@pytest.fixture(scope="module")
def space():
    return TextSpace.fit(letters(), language="en", seed=1)


def test_each_half_has_length_one(space):
    at = space.vectors(letters())
    half = space.word_vectors.shape[1]
    assert np.allclose(np.linalg.norm(at[:, :half], axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(at[:, half:], axis=1), 1, atol=1e-5)


def test_new_texts_of_one_matter_are_nearer(space):
    bill, line, other = space.vectors(["refund of the invoice", "busy queue", "wrong invoice"])
    assert bill @ other > 0.5 > bill @ line


def test_fitted_texts_are_placed_as_new_ones_are(space):
    counts = count(read_texts(letters(), "en"))
    assert np.allclose(placed(counts, learnt(counts, 1)), space.vectors(letters()), atol=1e-5)


def test_blocks_do_not_change_a_place(space, monkeypatch):
    whole = space.vectors(letters())
    monkeypatch.setattr(room, "BLOCK", 7)
    assert np.allclose(space.vectors(letters()), whole, atol=1e-6)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_space_survives_a_csv_file(language):
    texts = letters() if language == "en" else ZH * 10
    known = TextSpace.fit(texts, language=language, seed=1)
    page = known.to_table().to_csv(index=False)
    again = TextSpace.from_table(pd.read_csv(io.StringIO(page)))
    assert again.words == known.words and again.formulas == known.formulas
    assert np.array_equal(again.vectors(texts), known.vectors(texts))


def test_words_that_a_csv_file_would_lose_survive_it():
    texts = ["null nan true", "null nan false", "none null nan", "true none null"] * 2
    known = TextSpace.fit(texts + letters(20), language="de", seed=1)
    page = known.to_table().to_csv(index=False)
    again = TextSpace.from_table(pd.read_csv(io.StringIO(page)))
    assert {"null", "nan", "true"} <= set(again.words)
    assert again.words == known.words


def test_the_order_of_columns_and_rows_of_counts_by_hand():
    read = as_read(["waited waited line", "line"], "en")
    assert list(read.units) == ["line", "waited"]
    assert read.counted.toarray().tolist() == [[1, 2], [1, 0]]


def test_runs_of_characters_stop_at_an_end_of_a_part():
    read = as_read(["等了\n很久"], "zh")
    assert set(read.units) == {"等", "了", "很", "久", "等了", "很久"}


def test_formulas_are_learnt_and_passed_over_later():
    texts = [f"{each}. Kind regards to the team." for each in letters()]
    known = TextSpace.fit(texts, language="en", seed=1)
    assert known.formulas == ("kind regards team",)
    assert "regards" not in known.words
    assert (known.vectors(["Kind regards to the team."]) == 0).all()


def test_idf_is_the_stated_one(space):
    word = space.words.index("refund")
    with_it = sum("refund" in text for text in letters())
    assert space.word_idf[word] == pytest.approx(np.log(61 / (1 + with_it)) + 1)


def test_word_vectors_rebuild_positive_pmi():
    """With every dimension kept the vectors' products are the positive PMI matrix, centred."""
    counts = count(as_read(["a b", "a b", "c d", "c d", "a c", "b d"] * 3, "en"))
    found = room._word_vectors(counts.words, 1)
    assert np.allclose(found.mean(axis=0), 0, atol=1e-6)
    a, b, c = (found[counts.word_names.index(name)] for name in "abc")
    assert a @ b > a @ c


def test_no_text_unknown_words_and_other_scripts_are_placed_at_zero(space):
    assert space.vectors([]).shape == (0, space.vectors(["busy"]).shape[1])
    assert (space.vectors(["", "🙂🙂", "等了很久", "انتظرت ساعة"]) == 0).all()


def test_texts_without_a_word_in_common():
    with pytest.raises(Problem, match="no word in common"):
        TextSpace.fit(["one", "two", "three"], language="en", seed=1)


def test_a_table_that_is_no_space():
    with pytest.raises(Problem, match="no table of a text space"):
        TextSpace.from_table(pd.DataFrame({"name": ["word:a"]}))
    with pytest.raises(Problem, match="not whole"):
        TextSpace.from_table(pd.DataFrame({"name": ["cat:a"], "idf": [1.0], "v1": [0.0]}))


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("ar", ["انتظرت ساعة على الخط", "الفاتورة خطأ مرتين"]),
        ("ru", ["ждал час на линии", "счёт неверный дважды"]),
        ("ja", ["電話を一時間待ちました", "請求書が間違っています"]),
        ("th", ["รอสายนานมาก", "ใบแจ้งหนี้ผิด"]),
        ("hi", ["मैंने एक घंटा इंतज़ार किया", "बिल गलत है"]),
    ],
)
def test_any_script_is_read(language, texts):
    known = TextSpace.fit(texts * 10, language=language, seed=1)
    one, other = known.vectors(texts)
    assert one @ one > one @ other
