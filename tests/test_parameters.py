"""Every word of a study's file is understood, or refused with help."""

import nbformat
import pytest
from conftest import write_study

from sqm import parameters, places
from sqm.checks import Problem


def problems_of(project, more="", changes=()):
    write_study(project, "tiny", more)
    return [str(p) for p in parameters.check("tiny", root=project, changes=changes)[1]]


def test_a_sound_study_has_no_problem(project):
    assert problems_of(project, "measure: {confidence: 0.9}\n") == []


def test_a_misspelt_parameter_is_named_with_the_nearest_spelling(project):
    (said,) = problems_of(project, "measure: {confidnce: 0.9}\n")
    assert said == (
        "tiny.yml: measure has no parameter 'confidnce'.\n  To mend: did you mean 'confidence'?"
    )


def test_the_study_is_no_parameter_of_a_section(project):
    (said,) = problems_of(project, "measure: {study: other}\n")
    assert "no parameter 'study'" in said


def test_all_problems_are_listed_at_once(project):
    said = problems_of(
        project, "measure: {confidnce: 0.9}\nanalyse: {confidence: high}\nbudget: 3\n"
    )
    assert len(said) == 3


@pytest.mark.parametrize(
    ("value", "kind"), [("high", "float"), ("true", "float"), ("[0.9]", "float")]
)
def test_a_value_of_another_kind_is_refused(project, value, kind):
    (said,) = problems_of(project, f"define: {{confidence: {value}}}\n")
    assert f"where a {kind} is due" in said


@pytest.mark.parametrize(
    ("name", "value", "mend"),
    [
        ("confidence", 2, "a share between 0 and 1"),
        ("resamples", -5, "10 or more"),
        ("seed", -1, "0 or more"),
        ("baseline_until", "soon", "2025-12-31"),
    ],
)
def test_a_value_that_cannot_be_meant_is_found_before_anything_runs(project, name, value, mend):
    cells = 'confidence: float = 0.9\nresamples: int = 99\nseed: int = 1\nbaseline_until: str = ""'
    path = project / "notebooks" / "2-measure.ipynb"
    made = nbformat.read(path, as_version=4)
    made.cells[0].source = cells
    nbformat.write(made, path)
    write_study(project, "tiny", f"measure: {{{name}: {value}}}\n")
    (problem,) = parameters.check("tiny", root=project)[1]
    assert problem.what == f"tiny.yml: measure.{name} is {value!r}."
    assert mend in problem.mend


def test_a_study_without_a_table_is_refused(project):
    (project / "params" / "none.yml").write_text("study: none\ntitle: Nothing\n")
    (problem,) = parameters.check("none", root=project)[1]
    assert problem.what == "none.yml names no table."


def test_a_whole_number_will_do_for_a_fraction(project):
    (said,) = problems_of(project, "define: {confidence: 1}\n")
    assert "a share between 0 and 1" in said  # its kind is right, its size is not


def test_set_overrides_and_passes_the_same_checks(project):
    found, wrong = parameters.check("tiny", root=project, changes=["measure.confidence=0.9"])
    assert (found.sections["measure"], wrong) == ({"confidence": 0.9}, [])
    assert "no parameter 'level'" in problems_of(project, changes=["measure.level=0.9"])[0]
    assert "names no parameter" in problems_of(project, changes=["confidence=0.9"])[0]
    assert "names no parameter" in problems_of(project, changes=["later.confidence=0.9"])[0]


@pytest.mark.parametrize("name", ["../secrets", "a/b", "", "CON", "x" * 65, ".hidden", "a b"])
def test_a_study_name_cannot_leave_the_folders(project, name):
    with pytest.raises(Problem, match="cannot name a study"):
        places.locate(name, root=project)
    said = problems_of(project, "")
    path = write_study(project, "tiny")
    path.write_text(path.read_text().replace("study: tiny", f"study: '{name}'"))
    said = [str(p) for p in parameters.check("tiny", root=project)[1]]
    assert any("cannot name a study" in each for each in said)


def test_an_unknown_study_gets_the_nearest_name(project):
    with pytest.raises(Problem, match="did you mean 'tiny'"):
        places.locate("tinny", root=project)


def test_a_path_may_name_a_study(project):
    path = write_study(project, "elsewhere")
    moved = path.rename(project / "mine.yaml")
    assert parameters.load(str(moved), root=project).study == "elsewhere"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("title: once more\n", "stands twice"),
        ("define: &a {confidence: 0.9}\nmeasure: *a\n", "alias"),
        ("define: {confidence: 0.9\n", "no readable YAML"),
        ("define: [1]\n", "no mapping"),
    ],
)
def test_yaml_with_traps_is_refused(project, more, message):
    assert message in problems_of(project, more)[0]


def test_yaml_words_stay_words(project):
    assert parameters.read_value("[NO, on, 12:30:00, 2025-01-31, 1.10, 007]") == [
        "NO",
        "on",
        "12:30:00",
        "2025-01-31",
        1.1,
        "007",
    ]


def test_a_huge_file_is_refused(project):
    path = write_study(project, "tiny", "# " + "x" * parameters.LARGEST_FILE)
    with pytest.raises(Problem, match="larger than"):
        parameters.load(path.stem, root=project)


def test_a_missing_file_and_a_missing_column_are_found_before_anything_runs(project):
    table = "  survey:\n    path: data/survey.csv\n    roles: {respondent: id}\n"
    assert "survey.csv" in problems_of(project, table)[0]
    table = "  coders:\n    path: data/complaints.csv\n    roles: {complaint: idd, coder_a: day}\n"
    assert "did you mean 'id'" in problems_of(project, table)[0]


def test_an_unknown_time_zone_is_refused(project):
    assert "Europe/Madird" in problems_of(project, "  time_zone: Europe/Madird\n")[0]


def test_a_notebooks_parameters_carry_their_meaning(project):
    given = parameters.parameters_of("measure", root=project)["confidence"]
    assert (given.kind, given.default, given.meaning) == ("float", 0.95, "level")
