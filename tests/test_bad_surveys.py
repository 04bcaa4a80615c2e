"""Define and Measure as they are, on bad surveys: a Problem, or a sentence on what is not known."""

import json
from types import SimpleNamespace

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.utils.capture import capture_output
from notebook_shell import notebook_shell
from test_bad_input import new_project, said, tables, write

from sqm.checks import Problem
from sqm.execute import LEFT_OUT
from sqm.parameters import load
from sqm.places import notebook

NEEDS = ["Be served", "Be right"]
POPULATION = {"variable": "site", "level": ["A", "B"], "count": [40, 60]}


# --- carrying it out ------------------------------------------------------------------------------


@pytest.fixture
def carry_out(tmp_path):
    """Run Define and Measure on tables; hand back sentences, what was not examined, and Problems.

    A batch would stop at the first Problem.  Here the cells after it are run too, so that one
    study can hold several bad tables; any other exception fails the test, and so does a warning
    that reaches the notebook.
    """
    root = new_project(tmp_path)

    def carries(made, study, *, until=""):
        write(root, "own", made, study)
        given = load("own", root=root).sections
        found = SimpleNamespace(said={}, missed={}, problems={})
        for phase in ("define", "measure"):
            shelf = root / "out" / "own" / phase
            opened.patch.setenv("SQM_SHELF", str(shelf))
            opened.shell.reset(new_session=False)
            _run_cells(opened.shell, phase, root, given[phase], found.problems, until)
            for path in sorted(shelf.glob("*.json")):
                record = json.loads(path.read_text(encoding="utf-8"))
                if path.stem == "phase":
                    found.missed |= {e["question"]: e["reason"] for e in record["not_examined"]}
                else:
                    found.said[path.stem] = record["sentence"]
        return found

    with notebook_shell(root) as opened:
        yield carries


def _run_cells(shell, phase, root, given, problems, until):
    for cell in nbformat.read(notebook(phase, root=root), as_version=4).cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type != "code" or LEFT_OUT & tags or cell.source.endswith(".plot();"):
            continue  # what is kept is drawn there too
        lines = [f"{name} = {value!r}" for name, value in {**given, "study": "own"}.items()]
        with capture_output() as shown:
            ran = shell.run_cell("\n".join([cell.source, *lines * ("parameters" in tags)]))
        mpl.pyplot.close("all")
        wrong = ran.error_in_exec or ran.error_before_exec
        if isinstance(wrong, Problem):
            assert wrong.what and wrong.mend
            problems[cell.source.splitlines()[0].partition(": ")[2] or phase] = str(wrong)
            if "here.tables()" in cell.source:
                return  # nothing was read, so nothing can be asked
        else:
            assert wrong is None, f"{phase}: {wrong!r} in {cell.source}"
            assert not shown.stderr, f"{phase}: {shown.stderr} in {cell.source}"
        if until and f"here.keep({until}," in cell.source:
            shell.run_cell("here.close();")
            return


# --- surveys --------------------------------------------------------------------------------------


def answers(people=120, seed=3):
    """Six sound items from 1 to 7 in two dimensions, what was expected, and satisfaction."""
    rng = np.random.default_rng(seed)
    mood = rng.normal(4.5, 1, people)
    made = pd.DataFrame({"id": range(people)})
    for n in range(1, 7):
        made[f"p{n}"] = np.clip(np.round(mood + rng.normal(0, 1, people)), 1, 7)
        made[f"e{n}"] = np.clip(np.round(rng.normal(6, 0.6, people)), 1, 7)
    made["satisfied"] = np.clip(np.round(mood + rng.normal(0, 1, people)), 1, 7)
    made["recommends"] = rng.integers(0, 11, people)
    made["site"], made["tongue"] = rng.choice(list("AB"), people), rng.choice(["es", "en"], people)
    return made


def survey(scale=(1, 7), **more):
    """What the study of one such survey says."""
    roles = {"respondent": "id", "site": "site", "language": "tongue",
             "satisfaction": {"column": "satisfied", "scale": [1, 7]},
             "recommend": {"column": "recommends", "scale": [0, 10]}}  # fmt: skip
    spec = {
        "scale": list(scale),
        "roles": roles,
        "dimensions": {"one": ["p1", "p2", "p3"], "two": ["p4", "p5", "p6"]},
        "expectations": {f"p{n}": f"e{n}" for n in range(1, 7)},
    }
    return {"data": {"survey": spec | more}, "measure": {"resamples": 100}}


def test_two_items_one_item_one_value_and_copies(carry_out):
    made = answers()
    made["flat"], made["copy"] = 5, made["p5"]
    made["eflat"], made["ecopy"] = 7, made["e5"]
    found = carry_out(
        {"survey": made},
        survey(
            dimensions={"pair": ["p1", "p2"], "single": ["p3"], "flat": ["flat", "p4"],
                        "copies": ["p5", "p6", "copy"]},
            expectations={"p1": "e1", "p2": "e2", "p3": "e3", "flat": "eflat", "p4": "e4",
                          "p5": "e5", "p6": "e6", "copy": "ecopy"},
        ),
    )  # fmt: skip
    assert not found.problems
    alpha = found.said["reliability"]
    assert "Two items only, so Spearman-Brown instead: pair." in alpha
    assert "single (one item has no internal consistency)" in alpha
    assert "flat (everyone gave the same answer to flat)" in alpha
    assert "p5 and copy are answered alike by everyone" in alpha
    assert "p5 and copy are answered alike by everyone" in found.said["reliability_card"]
    assert "not positive definite" in found.missed["How many dimensions stand above chance?"]
    model = found.missed["Does the questionnaire measure the dimensions it claims?"]
    assert "everyone gave the same answer to flat" in model
    assert "single" in found.said["gap_gate"].partition("Not known")[2]
    assert found.said["gaps_without_careless"].startswith("Nobody is left out")


def test_a_published_matrix_that_is_not_positive_definite(carry_out):
    told = pd.DataFrame([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]], columns=list("abc"))
    correlations = {"scale": [-1, 1], "dimensions": {"all": list("abc")}, "roles": {"item": "item"}}
    study = {"data": {"correlations": correlations}, "measure": {"matrix_respondents": 200}}
    found = carry_out({"correlations": told.assign(item=list("abc"))}, study)
    assert not found.problems
    assert "positive definite" in found.missed["correlations.dimensions"]
    assert "matrix_model" not in found.said


def test_an_item_that_follows_from_others(carry_out):
    made = answers().assign(p6=lambda each: each["p1"] + each["p2"] - each["p3"])
    study = survey(scale=[-5, 13], roles={"respondent": "id"}, expectations={})
    found = carry_out({"survey": made}, study, until="model")
    assert not found.problems
    sought = found.missed["Do the items share enough for dimensions to be sought?"]
    assert "positive definite" in sought
    model = "Does the questionnaire measure the dimensions it claims?"
    assert model in found.missed or "no admissible" in found.said["measurement_model"]


@pytest.mark.parametrize("lacking", ["items", "satisfaction"])
def test_a_survey_without_a_scale(carry_out, lacking):
    study = survey(expectations={}, dimensions={"one": ["p1", "p2"]})
    if lacking == "items":
        del study["data"]["survey"]["scale"]
    else:
        study["data"]["survey"]["roles"]["satisfaction"] = "satisfied"
    until = {"items": "codes", "satisfaction": "loyalty"}[lacking]
    found = carry_out({"survey": answers(40)}, study, until=until)
    assert not found.problems
    without = {
        "items": ("Does a code act as an answer?", "items have no scale"),
        "satisfaction": ("How satisfied and how loyal are the customers?", "has no scale"),
    }
    question, why = without[lacking]
    assert why in found.missed[question]


def test_a_survey_of_satisfaction_alone(carry_out):
    study = survey(dimensions={}, expectations={})
    study["data"]["population"] = beside(population=POPULATION)[1]["population"]
    made = {"survey": answers(60), "population": pd.DataFrame(POPULATION)}
    found = carry_out(made, study)
    assert found.said["loyalty"].startswith("Satisfied")
    assert "weighted_means" in found.said or "weighted" in found.said


def test_a_heywood_case(carry_out):
    # correlations .8, .8 and .35: the first item's loading would be (.8 * .8 / .35)^.5 = 1.35
    rng = np.random.default_rng(5)
    wanted = np.array([[1, 0.8, 0.8], [0.8, 1, 0.35], [0.8, 0.35, 1]])
    drawn = rng.normal(size=(300, 3)) @ np.linalg.cholesky(wanted).T
    made = answers(300)
    made[["p1", "p2", "p3"]] = np.clip(np.round(4 + 1.3 * drawn), 1, 7)
    study = survey(roles={"respondent": "id"}, expectations={})
    found = carry_out({"survey": made}, study, until="model")
    assert not found.problems
    assert "no admissible solution" in found.said["measurement_model"].splitlines()[0]
    assert "Heywood" in found.said["measurement_model"]
    assert found.said["factors"].startswith("No sound solution (a Heywood case)")
    assert "Omega could not be given for one" in found.said["reliability_card"]


def test_twelve_respondents(carry_out):
    found = carry_out({"survey": answers(12)}, survey())
    assert not found.problems
    for question in (
        "How many dimensions stand above chance?",
        "Does the questionnaire measure the dimensions it claims?",
        "Which item should be improved first?",
    ):
        assert "12 respondents" in found.missed[question]
    assert "No site has 10 answers" in found.said["loyalty_by_site"]
    assert "distance (6 items need 18 respondents" in found.said["careless_flags"]


@pytest.mark.parametrize("everyone", [False, True])
def test_all_careless(carry_out, everyone):
    """One answer throughout from each; and the same one from everyone."""
    made = answers()
    for n in range(1, 7):
        made[f"p{n}"] = made[f"e{n}"] = 4 if everyone else made["p1"]
    made["satisfied"] = 4 if everyone else made["p1"]
    found = carry_out({"survey": made}, survey())
    assert not found.problems
    careless = found.missed["Did some people answer without reading?"]
    assert careless == "Every respondent gave one answer throughout."
    assert "Do the gaps change without those who did not read?" in found.missed
    assert "Which item should be improved first?" in found.missed
    assert "one" in found.said["reliability_card"].partition("can be given")[2]
    if not everyone:
        assert "p1 and p2 are answered alike by everyone" in found.said["reliability"]


# --- scales and codes -----------------------------------------------------------------------------


@pytest.mark.parametrize("points", [(7, 1), (4, 4)])
def test_a_scale_upside_down_is_refused_before_anything_runs(carry_out, points):
    with pytest.raises(Problem, match="must lie below the second") as caught:
        carry_out({"survey": answers(20)}, survey(scale=points))
    assert caught.value.mend


@pytest.mark.parametrize(
    ("code", "more", "told"),
    [
        (-99, {}, "outside 1"),
        (0, {}, "outside 1"),
        ("Not Available", {}, "no numbers"),
        (7, {"scale": [1, 5]}, "outside 1"),
    ],
)
def test_codes_are_caught_before_they_are_averaged(carry_out, code, more, told):
    made = answers(40).astype({"p2": object})
    made.loc[[3, 8], "p2"] = code
    found = carry_out({"survey": made}, survey(**more))
    assert list(found.problems) == ["measure"]
    problem = found.problems["measure"]
    assert "own-survey.csv" in problem and told in problem and str(code) in problem
    assert "To mend: correct the source, or list the code" in problem
    assert not set(found.said) - {"charter"}  # nothing was averaged


def test_a_code_within_the_scale_and_a_scale_too_long_are_asked_about(carry_out):
    made, roles = answers(400), {"respondent": "id"}
    items = [f"p{n}" for n in range(1, 7)]
    wide = survey((0, 100), roles=roles, expectations={})
    found = carry_out({"survey": made}, wide, until="codes")
    assert "on a scale said to run from 0 to 100: check `scale`" in found.said["suspect_codes"]
    regardless = np.random.default_rng(8).random((400, 6)) < 0.06
    made[items] = made[items].mask(regardless, 0)
    coded = survey((0, 7), roles=roles, expectations={})
    found = carry_out({"survey": made}, coded, until="codes")
    assert found.said["suspect_codes"].startswith("Is 0 a code? It is averaged as an answer")


# --- the tables beside the survey -----------------------------------------------------------------


def beside(**columns):
    """Tables beside the survey and what the study says of them, every column under its own name."""
    made = {name: pd.DataFrame(table) for name, table in columns.items()}
    return made, {
        name: {"roles": {column: column for column in table}} for name, table in made.items()
    }


def judged(times):
    """Two judges' comparison of the two needs."""
    return {"judge": ["J1", "J2"], "first": NEEDS[0], "second": NEEDS[1], "times": times}


def kano(**given):
    usual = {"respondent": range(20), "feature": "web", "functional": 1, "dysfunctional": 5}
    return usual | given


def study_beside(**columns):
    """The small service with these tables beside its survey."""
    made, study = tables(), said()
    whole = {name: made[name] for name in ("operations", "complaints", "coders")}
    whole["survey"] = answers(80)
    small = {
        "dimensions": {"one": ["p1", "p2"]},
        "expectations": {},
    }  # the models are not meant here
    study["data"]["survey"] = survey(**small)["data"]["survey"]
    more, roles = beside(**columns)
    study["data"] |= roles
    study["define"]["resamples"] = study["measure"]["resamples"] = 100
    return whole | more, study


def test_margins_kano_comparisons_and_an_audit_that_cannot_be(carry_out):
    made, study = study_beside(
        population={"variable": "site", "level": ["A", "B"], "count": [0, 0]},
        kano=kano(functional=[0, 6, *[1] * 18]),
        comparisons=judged(0),
        audit={"ctq": "resolved", "record": range(40), "recorded": [0, 1] * 20,
               "found": [0, 1] * 20},
        invited={"respondent": range(100), "answered": 0},
        retest={"respondent": range(9), "occasion": "first", "dimension": "d", "score": 4.0},
        gauge={"part": list("aabb"), "operator": "only one", "value": [1.0, 1.1, 2.0, 2.1]},
        steps={"step": ["sent", "kept"], "units": [0, 10], "defects": [0, 1]},
    )  # fmt: skip
    made["coders"]["b"] = None  # a rater who rated nothing
    found = carry_out(made, study)
    told = found.problems | found.missed
    assert "add up to 0" in told["Do the respondents look like the customers?"]
    feelings = told["Which features delight, and which are simply expected?"]
    assert "2 answers that are not 1, 2, 3, 4 or 5" in feelings
    assert "outside 1/9 to 9" in told["Do those who weigh the needs contradict themselves?"]
    assert "0 usable rows" in told["Do two people file the same case alike?"]
    assert "one occasion" in told["Would the same person give the same score again?"]
    assert "How many answers would show a change that matters?" in found.missed
    audited = found.said["corrected_rate"]
    assert "resolved" in audited and "no complaint" in audited  # the others cannot be corrected
    assert "What is the defect rate when records are sometimes wrong?" not in found.problems


def test_negative_counts_and_categories_that_the_other_never_used(carry_out):
    made, study = study_beside(
        population={"variable": "site", "level": ["A", "B"], "count": [-5, 50]},
        kano=kano(functional=9, dysfunctional=9),
        comparisons=judged(-3),
        audit={"ctq": "resolved", "record": [1, 2], "recorded": [0, 1], "found": [0, 1]},
        steps={"step": ["sent"], "units": [10], "defects": [20]},
        verdicts={"ctq": "resolved", "record": [f"K{n}" for n in range(20)], "judge": "p",
                  "defect": 0},
    )  # fmt: skip
    coders = made["coders"]
    coders["b"] = [f"new {n % 3}" for n in range(len(coders))]  # not one word in common
    coders["c"] = None
    study["data"]["coders"]["roles"] |= {"coder_c": "c"}
    found = carry_out(made, study)
    told = found.problems | found.missed
    assert "below 0" in told["Do the respondents look like the customers?"]
    assert "not 1, 2, 3, 4 or 5" in told["Which features delight, and which are simply expected?"]
    assert "outside 1/9 to 9" in told["Do those who weigh the needs contradict themselves?"]
    assert "two people judged" in told["Would two people reach the same verdict?"]
    assert "5 are needed" in told["What is the defect rate when records are sometimes wrong?"]
    steps = told["How often does a case pass every step right the first time?"]
    assert "20 defects where 10" in steps
    assert "0.0 %" in found.said["coder_agreement"].splitlines()[0]
    assert "coder_c" in found.said["agreement_card"]
    assert "Used by one rater only" in found.said["category_agreement"]
