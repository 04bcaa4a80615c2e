"""A project with many studies, made by a script: what a batch has to bear.

    python -m tests.made_batch FOLDER --studies 20
    python -m tests.made_batch FOLDER --studies 1000 --light

The five notebooks of the first kind use the stack as sqm's own do, with about a second of work
each.  Those of the second do next to nothing, and every tenth study fails in a known way.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import yaml

from sqm.places import PHASES
from tests.conftest import made_project, write_notebook, write_study

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
GIVEN = """\
study: str = "made-0001"  # a name in params/, or the path of a YAML file
confidence: float = 0.95  # level of every interval
groups: int = 4  # of complaints that are alike
seed: int = 1  # begins the random numbers"""
SETUP = """\
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pingouin
import seaborn as sns
import statsmodels.api as sm
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from sqm.methods.baseline import weekly
from sqm.methods.charts import one_chart, steadiness
from sqm.methods.drivers import drivers_of
from sqm.methods.fitness import data_fitness
from sqm.methods.handling import handling_times
from sqm.methods.loyalty import satisfaction_and_loyalty
from sqm.methods.pareto import pareto
from sqm.methods.reliability import cronbach_alpha, item_table
from sqm.methods.themes import find_themes
from sqm.methods.uncertainty import uncertainty
from sqm.queue_engine import simulate
from sqm.regression import fit_logistic
from sqm.study import Study

here = Study(study, phase="{phase}")
rng = np.random.default_rng(seed)"""
ALIKE = """\
letters = TfidfVectorizer().fit_transform(cases["text"].astype(str))
places = TruncatedSVD(8, random_state=seed).fit_transform(letters)
found = KMeans(groups, n_init=20, random_state=seed).fit(places)
pd.Series(found.labels_).value_counts()"""
CELLS = {  # of each phase, between its setup and its end
    "define": [
        'cases = here.table("complaints")\ncases.describe(include="all")',
        "three = pareto(cases, confidence=confidence, rng=rng)\nprint(three)",
        "three.plot();",
        'here.keep(three, "pareto", answer="What do customers complain about?")',
        ALIKE,
        'sns.countplot(cases, y="category", hue="channel");',
    ],
    "measure": [
        'survey = here.table("survey")\nsurvey.head()',
        "alpha = cronbach_alpha(survey, dimensions=here.dimensions, confidence=confidence)\n"
        "print(alpha)",
        'here.keep(alpha, "alpha", answer="Can the answers be trusted?")',
        "items = item_table(survey, dimensions=here.dimensions, confidence=confidence)\nitems",
        'here.keep(items, "items")',
        "sns.heatmap(survey[here.perceptions].corr());",
        'sns.lmplot(survey, x="recommend", y="satisfaction", hue="site", seed=seed, n_boot=100);',
    ],
    "analyse": [
        'cases = here.table("complaints")\n'
        'cases = cases.assign(dear=(cases["cost"] > cases["cost"].median()).astype(int))',
        'fit = fit_logistic(cases, drivers=["category", "channel"], outcome="dear", fixed="site", '
        'cluster="",\n                   confidence=confidence)\n'
        'causes = drivers_of(fit, rows="complaints")\nprint(causes)',
        "causes.plot();",
        'here.keep(causes, "drivers", answer="What drives the cost?")',
        'known = pd.get_dummies(cases[["category", "channel", "site"]]).astype(float)\n'
        "rival = RandomForestClassifier(60, random_state=seed)\n"
        'pd.Series({"linear": cross_val_score(LogisticRegression(), known, cases["dear"]).mean(),\n'
        '           "forest": cross_val_score(rival, known, cases["dear"]).mean()})',
        'sm.OLS(np.log(cases["cost"]), sm.add_constant(known.iloc[:, 1:4])).fit().params',
        'times = handling_times(cases, promised=30, by=["channel"], confidence=confidence)\n'
        "print(times)",
        'here.keep(times, "resolved_in_time")',
    ],
    "improve": [
        'before = here.recall("analyse", "drivers").table\nbefore',
        "shape = (600, 2000)\narrival = rng.exponential(1 / 8.5, shape).cumsum(axis=1)\n"
        "service = rng.exponential(1.0, shape)",
        "days = [simulate(arrival, service, np.full(shape, np.inf), starts_s=np.zeros((1, n)),\n"
        "                 ends_s=np.full((1, n), np.inf)) for n in (9, 10, 11, 12)]",
        "waits = pd.DataFrame([day.wait_s.mean(axis=1) for day in days], index=[9, 10, 11, 12]).T\n"
        "waits.describe()",
        'pingouin.ttest(waits[10], waits[11], paired=True)[["p_val"]].round(3)',
        'sns.violinplot(waits.melt(var_name="agents", value_name="wait"), x="agents", y="wait");',
        'survey = here.table("survey")\nloyal = satisfaction_and_loyalty(survey, '
        "confidence=confidence)\nprint(loyal)",
        'here.keep(loyal, "loyalty")',
    ],
    "control": [
        'cases = here.table("complaints")\n'
        'weeks = pd.DatetimeIndex(cases["opened"]).tz_localize(None).to_period("W").start_time',
        'escalated = cases["escalated"].astype(int).to_numpy()\n'
        'series = pd.DataFrame({"period": weeks, "value": escalated})',
        'series = series.groupby("period")["value"].agg(["sum", "size"]).reset_index()\n'
        'series.columns = ["period", "value", "n"]\n'
        "series.tail()",
        'chart = one_chart(series.assign(data="share"), rng=rng)\nprint(chart)',
        "chart.plot();",
        'here.keep(chart, "escalated", answer="Has the service left its limits?")',
        'months = weeks.to_period("M").start_time\n'
        'sns.lineplot(cases.assign(month=months), x="month", y="cost", hue="channel", seed=seed,\n'
        "             n_boot=200);",
        'here.recall("measure", "alpha").table',
    ],
}
# What the notebooks of the second kind do when a study asks for it, and what is said of it then
# beside the notebook's name.
WAYS_TO_FAIL = {
    "raises": ("raise ValueError('as planned\\nand a second line')", "ValueError: as planned"),
    "refuses": (
        "from sqm.checks import Problem; raise Problem('No site is known.', 'name one.')",
        "No site is known.",
    ),
    "exits": ("os._exit(3)", ""),
    "killed": ("os.kill(os.getpid(), 9)", ""),
    "leaves": ("raise SystemExit(0)", ""),
}
STUDY = """\
study: {name}
title: Made study {seed}
data:
  complaints:
    path: data/{name}/complaints.csv
    key: complaint
    roles:
      complaint: complaint_id
      opened: opened_at
      closed: closed_at
      site: site
      channel: channel
      category: category
      escalated: escalated
      cost: cost_eur
      text: text
      resolution_d: {{type: duration, start: opened, end: closed, unit: d, until: 2025-12-31}}
  survey:
    path: data/{name}/survey.csv
    key: respondent
    scale: [1, 7]
    dimensions:
      promptness: [p01, p02, p03, p04]
      courtesy: [p05, p06, p07, p08]
    roles:
      respondent: respondent
      site: site
      satisfaction: {{column: satisfaction, scale: [1, 7]}}
      recommend: {{column: recommend, scale: [0, 10]}}
define: {{seed: {seed}}}
measure: {{seed: {seed}}}
analyse: {{seed: {seed}, confidence: 0.9}}
improve: {{seed: {seed}}}
control: {{seed: {seed}}}
"""
WORDS = {
    "billing": "invoice charge refund twice amount account money wrong",
    "delays": "wait late hours queue telephone nobody answered slow",
    "faults": "line cut broken router signal down engineer repair",
    "manner": "rude agent hung shouted polite manager sorry word",
}


def studied(folder: Path, *, studies: int) -> list[str]:
    """Write a project whose notebooks work as a study's do; hand back the studies' names."""
    for each in ("notebooks", "params", "data"):
        (folder / each).mkdir(parents=True)
    (folder / "pyproject.toml").write_text("", encoding="utf-8")
    for phase in PHASES:
        _notebook(folder, phase)
    names = [f"made-{number:04d}" for number in range(1, studies + 1)]
    for number, name in enumerate(names, start=1):
        place = folder / "data" / name
        place.mkdir()
        rng = np.random.default_rng(number)
        _complaints(rng).to_csv(place / "complaints.csv", index=False)
        _survey(rng).to_csv(place / "survey.csv", index=False)
        text = STUDY.format(name=name, seed=number)
        (folder / "params" / f"{name}.yml").write_text(text, encoding="utf-8")
    return names


def light(folder: Path, *, studies: int, failing: int = 1) -> dict[str, list[str]]:
    """Write a project whose notebooks do next to nothing; ``failing`` of each ten studies fail.

    Returns
    -------
    dict of str to list of str
        Each study, and the words that must be said of it at the end; none where it ends well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made_project(folder)
    asked = "\n".join(
        f"if {way!r} in names:\n    {what}" for way, (what, _) in WAYS_TO_FAIL.items()
    )
    for phase in PHASES:
        write_notebook(folder, phase, extra=asked)
    said, turn = {}, 0
    for number in range(1, studies + 1):
        name = f"light-{number:04d}"
        if number % 10 < failing:
            said[name], turn = _fails(folder, name, turn), turn + 1
        else:
            said[name] = []
            write_study(folder, name)
    return said


def given(name: str, phase: str) -> dict:
    """The parameters of a notebook of the first kind, for those who call papermill themselves."""
    text = STUDY.format(name=name, seed=int(name.rpartition("-")[2]))
    return {"study": name, **yaml.safe_load(text)[phase]}


def _fails(folder: Path, name: str, turn: int) -> list[str]:
    """Write a study that fails in another way than the one before, and later in another phase."""
    ways = list(WAYS_TO_FAIL)
    way, phase = ways[turn % len(ways)], PHASES[turn // 20 % len(PHASES)]
    write_study(folder, name, f"{phase}: {{names: [{way}]}}\n")
    return [f"{PHASES.index(phase) + 1}-{phase}.ipynb", WAYS_TO_FAIL[way][1]]


def _notebook(folder: Path, phase: str) -> None:
    cells = [GIVEN, SETUP.format(phase=phase), *CELLS[phase], "here.close()"]
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": KERNEL}
    )
    made.cells[0].metadata.tags, made.cells[1].metadata.tags = ["parameters"], ["setup"]
    nbformat.write(made, folder / "notebooks" / f"{PHASES.index(phase) + 1}-{phase}.ipynb")


def _complaints(rng: np.random.Generator, rows: int = 1500) -> pd.DataFrame:
    kind = rng.choice(list(WORDS), rows, p=[0.4, 0.3, 0.2, 0.1])
    day = np.sort(rng.integers(0, 330, rows))
    took = rng.exponential(18, rows).round() + 1
    opened = pd.Timestamp("2025-01-06 09:00") + pd.to_timedelta(day, "D")
    closed = pd.Series(opened + pd.to_timedelta(took, "D"))
    return pd.DataFrame(
        {
            "complaint_id": [f"c{row:05d}" for row in range(rows)],
            "opened_at": opened,
            "closed_at": closed.where(closed < pd.Timestamp("2025-12-31")),
            "site": rng.choice(["north", "south", "west"], rows),
            "channel": rng.choice(["phone", "letter", "web"], rows),
            "category": kind,
            "escalated": np.where(rng.random(rows) < 0.2, "yes", "no"),
            "cost_eur": rng.lognormal(3 + 0.5 * (kind == "billing"), 1, rows).round(2),
            "text": [" ".join(rng.choice(WORDS[each].split(), 12)) for each in kind],
        }
    )


def _survey(rng: np.random.Generator, rows: int = 800) -> pd.DataFrame:
    person = rng.normal(size=(rows, 1))
    items = 4.5 + person + rng.normal(size=(rows, 8))
    answers = pd.DataFrame(items, columns=[f"p{item:02d}" for item in range(1, 9)])
    answers = answers.round().clip(1, 7).astype(int)
    answers["satisfaction"] = answers.mean(axis=1).round().astype(int)
    answers["recommend"] = (1.5 * items.mean(axis=1)).round().clip(0, 10).astype(int)
    answers.insert(0, "site", rng.choice(["north", "south", "west"], rows))
    answers.insert(0, "respondent", [f"r{row:05d}" for row in range(rows)])
    return answers


def main() -> None:
    """Write the project named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--light", action="store_true", help="notebooks that do next to nothing")
    said = parser.parse_args()
    names = (light if said.light else studied)(said.folder, studies=said.studies)
    print(f"{len(names)} studies in {said.folder}")


if __name__ == "__main__":
    main()
