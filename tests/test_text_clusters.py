"""Groups that were planted are found, as many as there are, whoever runs it."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sqm.text_clusters import clusters, nearest_centre, npmi, telling_score

MATTERS = [
    "waiting queue minutes hold music nobody answered line ringing hour",
    "invoice charged twice refund amount wrong bill payment account money",
    "technician visit repair broken router fault appointment missed engineer cable",
    "agent rude shouted polite manner attitude tone insulted respect listened",
    "parcel delivery courier arrived address lost depot box driver late",
    "website password login app page error button screen crashed update",
]


@pytest.fixture(autouse=True)
def fewer_shuffles(monkeypatch):
    """For time's sake; what shuffled words reach is tried in test_themes."""
    monkeypatch.setattr("sqm.text_clusters.SHUFFLED", (2, 2))


def letters(matters=6, each=40, seed=1, mixed=False):
    rng = np.random.default_rng(seed)
    every = " ".join(MATTERS[:matters]).split()
    rows = [
        (" ".join(rng.choice(every if mixed else words.split(), 6, replace=False)), matter)
        for matter, words in enumerate(MATTERS[:matters])
        for _ in range(each)
    ]
    return [text for text, _ in rows], np.array([matter for _, matter in rows])


def find(texts, k=(3, 4, 5, 6, 7, 9), seed=7, **settings):
    settings = {"resamples": 6, "language": "en", **settings}
    return clusters(texts, rng=np.random.default_rng(seed), k=k, **settings)


@pytest.fixture(scope="module")
def found():
    return find(letters()[0])


def test_as_many_groups_as_were_planted(found):
    _, truth = letters()
    assert found.tried.loc[found.tried["chosen"], "k"].tolist() == [6]
    assert len(set(zip(found.labels, truth, strict=True))) == 6
    assert found.jaccard.mean(axis=0).min() > 0.95 > found.chance
    assert found.same_again == 1


@pytest.mark.parametrize("matters", [3, 4])
def test_another_number_planted(matters):
    found = find(letters(matters)[0])
    assert found.tried.loc[found.tried["chosen"], "k"].tolist() == [matters]


def test_the_score_is_the_product_and_its_best_is_near_the_choice(found):
    tried = found.tried
    assert np.allclose(tried["score"], tried["stability"] * tried["coherence"])
    top = tried.loc[tried["score"].idxmax()]
    assert (tried.loc[tried["chosen"], "score"] >= top["score"] - top["error"]).all()
    assert (tried.loc[tried["k"] < 6, "score"] < top["score"] - top["error"]).all()


def test_words_drawn_from_all_make_no_group_beyond_chance():
    found = find(letters(mixed=True)[0], k=(4, 6))
    assert (found.jaccard.mean(axis=0) < 0.75).all()


def test_the_same_seed_gives_the_same_whatever_the_threads(found):
    with threadpool_limits(2):
        again = find(letters()[0])
    assert np.array_equal(again.labels, found.labels)
    assert again.tried.equals(found.tried)


def test_vectors_made_elsewhere_are_taken():
    texts, truth = letters(3)
    rng = np.random.default_rng(1)
    given = np.eye(3)[truth] + 0.05 * rng.normal(size=(len(truth), 3))
    found = find(texts, vectors=given, k=(2, 3, 4))
    assert found.space is None
    assert len(set(zip(found.labels, truth, strict=True))) == 3
    noise = find(texts, vectors=rng.normal(size=(len(truth), 5)), k=(4,))
    assert (noise.jaccard.mean(axis=0) < max(noise.chance, 0.75)).all()


def test_too_few_texts_for_any_number():
    assert find(letters(each=2)[0], k=(4,)) is None
    assert find([f"{a}{b}" for a in "bcdfg" for b in "xyzwv"], k=(2,)) is None


def test_the_nearest_centre_by_hand():
    near, ratio = nearest_centre(
        np.array([[0.0, 1.0], [5, 5]]), np.array([[0.0, 0], [0, 4], [5, 5]])
    )
    assert near.tolist() == [0, 2]
    assert ratio.tolist() == pytest.approx([1 / 3, 0], abs=1e-6)
    assert nearest_centre(np.ones((2, 2)), np.ones((1, 2)))[1].tolist() == [0, 0]


def test_pairs_of_words_by_hand():
    """Ten rows, both words in four and never apart: (5 / 2.6) over the share 5 / 11."""
    met = np.repeat([[1, 1], [0, 0]], [4, 6], axis=0)
    assert npmi(met) == pytest.approx(np.log(5 / 2.6) / -np.log(5 / 11))
    independent = np.array([[1, 1], [1, 0], [0, 1], [0, 0]] * 25)
    assert npmi(independent) == pytest.approx(0)
    assert npmi(np.ones((5, 1))) == 0


def test_a_telling_word_stands_within_and_not_without():
    score = telling_score(np.array([10, 5, 5]), np.array([0, 5, 45]), 10, 60)
    assert score[0] > score[1] > 0 > score[2]
