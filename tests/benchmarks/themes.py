"""How good, how steady and how fast are themes, beside UMAP and HDBSCAN on the same vectors?

    python -m tests.benchmarks.themes FOLDER [--rows 10000 100000] [--umap PYTHON] [--whole]

FOLDER holds the labelled sets (`SETS`); PYTHON is an interpreter that has umap-learn, the rows
that rest on it are left out otherwise.  Texts are drawn, and beyond the size of the set drawn again
with a tenth of their words left out.  Each pipeline runs in a process of its own, on one thread, so
that the peak of its memory is its own; vectors are the same for all and their seconds stand apart.
``agreement`` is adjusted mutual information with the labels over all texts (noise is a group);
``steady`` the adjusted Rand index of two halves-overlapping samples of 80 %.  ``--whole`` times
`find_themes` with all its resamples instead, and compares the themes of one thread and of two.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

SETS = {
    "letters": ("cfpb_2023_june_10k.csv.gz", "complaint_what_happened", "issue", "en"),
    "letters by product": ("cfpb_2023_june_10k.csv.gz", "complaint_what_happened", "product", "en"),
    "Chinese reviews": ("zh_online_shopping_10_cats_62k.csv.gz", "review", "cat", "zh"),
}
GROUPS = (8, 10, 20)
UMAP = """
import sys, numpy as np, umap
from sklearn.cluster import HDBSCAN
from threadpoolctl import threadpool_limits
with threadpool_limits(1):
    vectors = np.load(sys.argv[1])
    low = umap.UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine",
                    random_state=int(sys.argv[3]), n_jobs=1).fit_transform(vectors)
    np.save(sys.argv[2], HDBSCAN(min_cluster_size=10, copy=True).fit_predict(low))
"""
OURS = """
import sys, numpy as np
from threadpoolctl import threadpool_limits
from sqm.text_clusters import _partitions
with threadpool_limits(1):
    vectors = np.load(sys.argv[1])
    np.save(sys.argv[2], _partitions(vectors, [int(sys.argv[4])])[int(sys.argv[4])])
"""
HDBSCAN_ALONE = """
import sys, numpy as np
from sklearn.cluster import HDBSCAN
np.save(sys.argv[2], HDBSCAN(min_cluster_size=10, copy=True).fit_predict(np.load(sys.argv[1])))
"""


def labelled(folder: Path, name: str, rows: int) -> tuple[pd.Series, np.ndarray, str]:
    """Texts and labels of one set, so many."""
    file, text, label, language = SETS[name]
    given = pd.read_csv(folder / file, usecols=[text, label]).dropna()
    rng = np.random.default_rng(1)
    drawn = rng.permutation(len(given))[:rows]
    more = rng.integers(0, len(given), max(rows - len(given), 0))
    texts = given[text].to_numpy(dtype=object)
    said = [*texts[drawn], *(_perturbed(texts[i], language, rng) for i in more)]
    return pd.Series(said).str.slice(0, 4000), given[label].to_numpy()[[*drawn, *more]], language


def _perturbed(text: str, language: str, rng: np.random.Generator) -> str:
    words = list(text) if language == "zh" else text.split()
    between = "" if language == "zh" else " "
    return between.join(np.array(words, dtype=object)[rng.random(len(words)) > 0.1])


def timed(
    python: str, script: str, vectors: np.ndarray, *more: str
) -> tuple[np.ndarray, float, float]:
    """Labels, seconds and peak MiB of a script in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "v.npy", Path(folder) / "l.npy"
        np.save(given, vectors)
        measure = (
            "import resource, time; t = time.process_time()\n" + script + "\nprint("
            "time.process_time() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
        )
        done = subprocess.run(
            [python, "-W", "ignore", "-c", measure, str(given), str(made), *more],
            capture_output=True, text=True, check=True, env=os.environ | {"NUMBA_NUM_THREADS": "1"},
        )  # fmt: skip
        seconds, peak = map(float, done.stdout.split()[-2:])
        return np.load(made), seconds, peak


def compare(folder: Path, name: str, rows: int, umap: str | None) -> None:
    """Print one row per pipeline for one set and size."""
    from sklearn.metrics import adjusted_mutual_info_score
    from threadpoolctl import threadpool_limits

    from sqm.text_vectors import count, learnt, placed, read_texts

    texts, labels, language = labelled(folder, name, rows)
    begun = time.process_time()
    with threadpool_limits(1):
        read = read_texts(texts.tolist(), language)
        counts = count(read)
        vectors = placed(counts, learnt(counts, 1))
    own = time.process_time() - begun
    ways = [(f"Ward-started k-means, {k}", sys.executable, OURS, str(k)) for k in GROUPS]
    ways += [("UMAP, HDBSCAN", umap, UMAP, "")] if umap else []
    ways += [("HDBSCAN alone", sys.executable, HDBSCAN_ALONE, "")] if rows <= 10_000 else []
    first = None
    for way, python, script, k in ways:
        found, seconds, peak = timed(python, script, vectors, "1", k)
        first = first or own + seconds
        ami = adjusted_mutual_info_score(labels, found)
        steady = _steady(python, script, vectors, k) if rows <= 10_000 else float("nan")
        print(
            f"| {name} | {len(texts):,} | {way} | {ami:.3f} | {steady:.2f} | {own:.1f} + "
            f"{seconds:.1f} | {(own + seconds) / first:.1f} | {peak:.0f} |",
            flush=True,
        )


def _steady(python: str, script: str, vectors: np.ndarray, k: str) -> float:
    from sklearn.metrics import adjusted_rand_score

    rng, n = np.random.default_rng(2), len(vectors)
    one, other = (np.sort(rng.permutation(n)[: int(0.8 * n)]) for _ in range(2))
    both = np.intersect1d(one, other)
    found = [
        timed(python, script, vectors[rows], seed, k)[0][np.searchsorted(rows, both)]
        for rows, seed in ((one, "1"), (other, "2"))
    ]
    return adjusted_rand_score(*found)


def whole(folder: Path, name: str, rows: int) -> None:
    """Time `find_themes` with all resamples, and try it on one thread and on two."""
    said = []
    for threads in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, str(folder), "--one", name, "--rows", str(rows)],
            capture_output=True, text=True, check=True,
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
        )  # fmt: skip
        said.append(done.stdout.strip())
    same = said[0].split()[-1] == said[1].split()[-1]
    print(f"| {name} | {rows:,} | {said[0]} | the same on two threads: {same} |", flush=True)


def one(folder: Path, name: str, rows: int) -> None:
    """Print the seconds, the peak and a mark of the labels of one run."""
    from sklearn.metrics import adjusted_mutual_info_score

    from sqm.methods.themes import find_themes, theme_members_of, themes_of

    texts, labels, language = labelled(folder, name, rows)
    begun, cpu = time.perf_counter(), time.process_time()
    table = pd.DataFrame({"text": texts, "language": language})
    found = find_themes(table, rng=np.random.default_rng(1), language="language")
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    described, members = themes_of(found), theme_members_of(found).table
    placed = members["theme"].notna().to_numpy()
    ami = adjusted_mutual_info_score(labels[placed], members["theme"][placed].astype(int))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    mark = hashlib.sha256(members["theme"].fillna(0).to_numpy(int).tobytes()).hexdigest()[:12]
    print(
        f"{described.stable} of {described.themes} stable; agreement {ami:.3f} on "
        f"{placed.mean():.0%}; {seconds:.0f} s, {cpu:.0f} CPU s; {peak:.0f} MiB; {mark}"
    )


def main() -> None:
    """Print the comparison of every set and size."""
    given = argparse.ArgumentParser()
    given.add_argument("folder", type=Path)
    given.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    given.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    given.add_argument("--umap")
    given.add_argument("--whole", action="store_true")
    given.add_argument("--one", choices=list(SETS))
    asked = given.parse_args()
    if asked.one:
        one(asked.folder, asked.one, asked.rows[0])
        return
    if not asked.whole:
        print("| set | texts | pipeline | agreement | steady | CPU s | times ours | peak MiB |")
        print("|---|---|---|---|---|---|---|---|")
    for name in asked.sets:
        for rows in asked.rows:
            if asked.whole:
                whole(asked.folder, name, rows)
            else:
                compare(asked.folder, name, rows, asked.umap)


if __name__ == "__main__":
    main()
