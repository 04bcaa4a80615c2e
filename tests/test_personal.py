"""What a study marks as personal is counted and joined under numbers, and shown nowhere."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import write_study
from notebook_shell import notebook_shell

from sqm import look, parameters, scrub, sources
from sqm.checks import Problem, need_one_of
from sqm.clock import Calendar
from sqm.finding import Finding
from sqm.roles import Table, personal_problems, problems_of, readable, types_of, withheld
from sqm.study import Study

NAMES = ["Ana Gil", "600111222", "bo@example.com", "王小明"]


def table(text, path="t.csv"):
    return Table.model_validate({"path": path} | yaml.safe_load(text))


def roles(**specs):
    return Table(path="t.csv", roles=specs)


def read(tables, name, root, **more):
    return sources.read(tables[name], name, root=root, calendar=Calendar(), **more)


SHUT = {"column": "c", "personal": True}


@pytest.fixture
def joined(tmp_path):
    """Two tables that share customers; in the second others come first, and one is missing."""
    (tmp_path / "a.csv").write_text(
        "id,who\n1,Ana Gil\n2,600111222\n3, Ana Gil \n4,n/a\n5,\n", encoding="utf-8"
    )
    (tmp_path / "b.csv").write_text("who\n王小明\n600111222\nbo@example.com\n", encoding="utf-8")
    spec = "roles: {customer: {column: who, personal: true, missing: [n/a]}}"
    tables = {
        "complaints": table(spec.replace("}}", "}, complaint: id}"), "a.csv"),
        "own": table(spec.replace("who,", "who, type: identifier,"), "b.csv"),
    }
    return tables, tmp_path, sources.People(tables, root=tmp_path)


# --- numbers in place of people -------------------------------------------------------------------


def test_a_person_has_the_same_number_in_every_table(joined):
    tables, root, people = joined
    # by hand: Ana 1, 600111222 2 in the first table; then 王小明 3, bo 4
    first = read(tables, "complaints", root, people=people).table["customer"]
    assert first.dropna().tolist() == ["customer 0001", "customer 0002", "customer 0001"]
    assert first.isna().tolist() == [False, False, False, True, True]
    second = read(tables, "own", root, people=people).table["customer"]
    assert second.tolist() == ["customer 0003", "customer 0002", "customer 0004"]


def test_numbers_do_not_depend_on_the_table_that_is_read_first(joined):
    tables, root, people = joined
    again = sources.People(tables, root=root)
    backwards = read(tables, "own", root, people=again).table
    read(tables, "complaints", root, people=again)
    assert backwards.equals(read(tables, "own", root, people=people).table)


def test_a_table_read_alone_shares_no_number_with_another(joined):
    tables, root, _ = joined
    alone = [set(read(tables, n, root).table["customer"].dropna()) for n in tables]
    assert alone[0] == {"complaints customer 0001", "complaints customer 0002"}
    assert not alone[0] & alone[1]


def test_a_number_holds_nothing_of_its_value(tmp_path):
    """The same table with other people in it reads the same, so no value can be tried out."""
    spec = {"own": table("roles: {who: {column: who, type: identifier, personal: true}}")}
    seen = []
    for values in (["600111222", "600111223", "600111222"], ["x", "a much longer name", "x"]):
        (tmp_path / "t.csv").write_text("\n".join(["who", *values]), encoding="utf-8")
        seen.append(read(spec, "own", tmp_path).table)
    assert seen[0].equals(seen[1])


def test_labels_of_an_spss_file_are_hidden_too(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    frame = pd.DataFrame({"who": [1.0, 2.0, 1.0]})
    labels = {"who": {1.0: "Ana Gil", 2.0: "Bo Li"}}
    pyreadstat.write_sav(frame, tmp_path / "t.sav", variable_value_labels=labels)
    tables = {"own": table("roles: {who: {column: who, type: category, personal: true}}", "t.sav")}
    done = read(tables, "own", tmp_path)
    assert done.table["who"].tolist() == ["own who 0001", "own who 0002", "own who 0001"]
    assert "Ana" not in done.notes.to_csv()
    assert scrub._known(_file(tables), tmp_path).people == {
        "Ana Gil": "own.who",
        "Bo Li": "own.who",
    }


def _file(tables):
    fields = dict.fromkeys(parameters.StudyFile.__dataclass_fields__, "")
    return parameters.StudyFile(**fields | {"tables": tables})


def test_notes_and_problems_name_no_value(joined):
    tables, root, people = joined
    reading = read(tables, "complaints", root, people=people)
    notes = reading.notes[reading.notes["column"] == "who"]
    assert notes[["what", "rows", "treatment"]].to_numpy().tolist() == [
        ["blank", 1, "missing"],
        ["a missing code", 1, "missing"],
        ["blanks around the value", 1, "cut off"],
        ["personal values, read under numbers", 3, "kept"],
    ]
    with pytest.raises(Problem, match=r"customer 0001, customer 0002\.$"):
        need_one_of("Ana", reading.table["customer"].dropna().unique(), name="who")


# --- what is not read -----------------------------------------------------------------------------


def test_a_personal_text_number_or_time_is_not_read(tmp_path):
    (tmp_path / "t.csv").write_text("t,age,born,d\nI am Ana,nobody,never,2025-01-01\n")
    mine = table(
        "roles: {text: {column: t, personal: true}, opened: d,"
        " age: {column: age, type: number, personal: true},"
        " born: {column: born, type: date, personal: true}}"
    )
    assert withheld(mine, "complaints") == ("text", "age", "born")
    assert types_of(mine, "complaints") == {"opened": "time"}
    assert list(readable(mine, "complaints").roles) == ["opened"]
    done = read({"complaints": mine}, "complaints", tmp_path)  # "nobody" is no number: not read
    assert list(done.table) == ["opened"]
    unread = done.notes[done.notes["treatment"] == "not read"]
    assert unread["column"].tolist() == ["t", "age", "born"]


def test_a_source_without_a_personal_column_that_is_not_read_will_do(tmp_path):
    (tmp_path / "t.csv").write_text("id\n1\n")
    mine = roles(complaint="id", text=SHUT)
    assert sources.check(mine, "complaints", root=tmp_path, calendar=Calendar()) == []


# --- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("roles: {text: {column: p1, personal: true}}\ndimensions: {care: [p1]}",
         "'p1' is a survey item and cannot be personal"),
        ("roles: {agent: {column: c, personal: true}, site: c}",
         "'c' is personal as 'agent' and stands open as 'site'"),
        ("key: text\nroles: {text: {column: t, personal: true}}",
         "the `key` 'text' is personal and no identifier"),
        ("roles: {answered: {column: a, personal: true}, b: {column: b, type: time},"
         " took_d: {type: duration, start: answered, end: b}}",
         "'took_d' runs from or to 'answered', which is personal and not read"),
        ("roles: {b: {column: b, type: time},"
         " took_d: {type: duration, start: b, end: b, personal: true}}",
         "`personal` does not go with 'took_d', which is a duration"),
    ],
)  # fmt: skip
def test_what_personal_cannot_be_is_said(text, what):
    assert any(what in str(problem) for problem in problems_of(table(text), "survey"))


def test_a_role_is_personal_everywhere_or_nowhere(tmp_path):
    tables = {"complaints": roles(agent=SHUT), "operations": roles(agent="a")}
    said = str(personal_problems(tables)[0])
    assert "'agent' is personal in complaints, and its values stand open in operations" in said
    assert "agent: {column: a, personal: true}" in said
    with pytest.raises(Problem, match="stand open in operations"):
        sources.People(tables, root=tmp_path)
    texts = {"complaints": roles(text=SHUT), "survey": roles(text="t")}  # no join rests on a text
    assert personal_problems(texts) == []


def test_sums_cannot_be_by_people():
    counted = Table(path="c.csv", summed={"agent": "agent", "n": "rows"})
    said = str(personal_problems({"complaints": roles(agent=SHUT), "counted": counted})[0])
    assert "sum by another column" in said


@pytest.mark.parametrize(
    ("shut", "again"),
    [
        ({"path": "d/o.csv"}, {"path": "./d/../d/o.csv"}),
        ({"path": "d/o.csv"}, {"path": "d"}),
        ({"path": "d/o-1.csv"}, {"path": "d/o-*.csv"}),
        ({"path": "d"}, {"path": "d/o-*.csv"}),
        ({"path": "d/*.csv"}, {"path": "d/o-*.csv"}),
        ({"path": "o.xlsx", "sheet": "may"}, {"path": "o.xlsx"}),
        ({"database": "env:X", "query": "select  *\nfrom t"},
         {"database": "env:X", "query": "select * from t"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("reads", "what"),
    [
        ({"summed": {"unit": "who", "n": "rows"}}, "reads it openly as 'unit'.*sum by another"),
        ({"summed": {"n": {"added": "who"}}}, "openly as 'n'"),
        ({"summed": {"n": "rows", "events": {"column": "who", "is": ["x"]}}}, "openly as 'events'"),
        ({"roles": {"part": "who"}}, "openly as 'part'.*part: {column: who, personal: true}"),
        ({"dimensions": {"care": ["who"]}}, "openly as 'who'.*leave the item out"),
    ],
)
def test_a_personal_column_is_personal_in_every_table_of_its_source(
    shut, again, reads, what, tmp_path
):
    marked = {"roles": {"agent": {"column": "who", "personal": True}}}
    tables = {
        "operations": Table.model_validate(shut | marked),
        "counted": Table.model_validate(again | reads),
    }
    for order in (tables, dict(reversed(tables.items()))):
        (problem,) = personal_problems(order, root=tmp_path)
        assert re.search(f"(?s)'who' is personal in operations, .*{what}", str(problem))
        with pytest.raises(Problem, match="is personal in operations"):
            sources.People(order, root=tmp_path)


@pytest.mark.parametrize(
    ("shut", "again"),
    [
        ({"path": "d/o.csv"}, {"path": "o.csv"}),
        ({"path": "d/o.csv"}, {"path": "d/p-*.csv"}),
        ({"path": "o.xlsx", "sheet": "may"}, {"path": "o.xlsx", "sheet": "june"}),
        ({"database": "env:X", "query": "select 1"}, {"database": "env:Y", "query": "select 1"}),
    ],
)
def test_a_column_of_the_same_name_elsewhere_may_stand_open(shut, again, tmp_path):
    marked = {"roles": {"agent": {"column": "who", "personal": True}}}
    reads = {"roles": {"part": "who"}}
    tables = {"a": Table.model_validate(shut | marked), "b": Table.model_validate(again | reads)}
    assert personal_problems(tables, root=tmp_path) == []


def test_a_text_that_another_table_of_its_file_reads_openly_is_told(tmp_path):
    tables = {"complaints": roles(text=SHUT), "survey": roles(text="c")}
    (problem,) = personal_problems(tables, root=tmp_path)
    assert "'c' is personal in complaints, and survey reads it openly as 'text'" in str(problem)


def test_a_condition_on_a_personal_column_quotes_no_value(tmp_path):
    (tmp_path / "p.csv").write_text("age,site\nAna Gil,x\n45,y\n", encoding="utf-8")
    mine = table(
        "where: {age: {above: 18}}\n"
        "roles: {age: {column: age, type: number, personal: true},"
        " site: {column: site, type: category}}",
        "p.csv",
    )
    sums = table("where: {age: {above: 18}}\nsummed: {unit: site, n: rows}", "p.csv")
    tables = {"own": mine, "counted": sums}
    for name, people in (("own", None), ("counted", sources.People(tables, root=tmp_path))):
        with pytest.raises(Problem, match="'age' has 1 values") as raised:
            read(tables, name, tmp_path, people=people)
        assert "Ana" not in str(raised.value)


def test_people_keep_their_numbers_where_a_table_is_narrowed(tmp_path):
    (tmp_path / "t.csv").write_text("who,k\nZoe,b\nAna,a\nZoe,a\nBo,a\n", encoding="utf-8")
    spec = "roles: {who: {column: who, type: identifier, personal: true}}"
    all_rows, some = table(spec), table(spec + "\nwhere: {k: a}")
    read_ = [
        read({"own": each}, "own", tmp_path).table["who"].tolist() for each in (all_rows, some)
    ]
    assert read_[0] == ["own who 0001", "own who 0002", "own who 0001", "own who 0003"]
    assert read_[1] == read_[0][1:]


# --- a whole study --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ByAgent(Finding):
    """A finding that quotes, counts and draws whatever it is given."""

    most: str = ""

    def sentence(self):
        return f"Most by {self.most}."

    def plot(self, ax=None):
        ax = look.axes(ax)
        ax.bar(self.table["agent"], self.table["n"])
        return look.label(ax, title=f"Is it {self.most}?")


PEOPLE = """\
  operations:
    path: data/operations.csv
    roles: {contact: contact, agent: {column: agent, personal: true}}
  coders:
    path: data/people.csv
    roles:
      agent: {column: who, type: category, personal: true, missing: [Nobody Atall]}
      born: {column: born, type: date, personal: true}
      note: {column: note, type: text, personal: true}
"""
CANARIES = ["Ana Gil", "Bo Li", "Nobody Atall", "1980-05-03", "tells a tale"]


@pytest.fixture
def peopled(project):
    write_study(project, "tiny", PEOPLE)
    rows = ["contact,agent", "1,Ana Gil", "2,Bo Li", "3,Bo Li"]
    (project / "data" / "operations.csv").write_text("\n".join(rows))
    rows = ["who,born,note", "Bo Li,1980-05-03,tells a tale", "Nobody Atall,,"]
    (project / "data" / "people.csv").write_text("\n".join(rows))
    return project


def test_no_personal_value_is_in_any_byte_that_a_study_writes(peopled):
    with notebook_shell(peopled) as made:
        made.shell.user_ns |= {"Study": Study, "ByAgent": ByAgent}
        cells = (
            "here = Study('tiny', phase='define')\n"
            "calls, people = here.table('operations'), here.table('coders')",
            "both = calls.merge(people, on='agent', how='left', indicator=True)\n"
            "counts = both.groupby('agent', as_index=False).size().rename(columns={'size': 'n'})",
            "here.keep(ByAgent(counts, most=counts.loc[counts.n.idxmax(), 'agent']), 'by_agent')",
            "%%needs coders.note coders.born: What do people write?\nraise SystemExit",
            "here.keep(ByAgent(here.notes().assign(agent='x', n=1)), 'notes')",
            "here.close()",
        )
        for cell in cells:
            made.shell.run_cell(cell).raise_error()
        both, counts = made.shell.user_ns["both"], made.shell.user_ns["counts"]
    assert counts.to_dict("list") == {"agent": ["agent 0001", "agent 0002"], "n": [1, 2]}
    assert both["_merge"].tolist() == ["left_only", "both", "both"]  # the join holds
    shelf = peopled / "out" / "tiny" / "by-hand" / "define"
    asked = json.loads((shelf / "phase.json").read_text(encoding="utf-8"))["not_examined"][0]
    assert "'note' of the table 'coders' is marked as personal" in asked["reason"]
    assert "personal: true" in asked["mend"]
    files = [path for path in (peopled / "out").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".csv", ".json", ".svg"}
    assert scrub.scan(peopled / "out", secrets=CANARIES) == []
    lines, code = scrub.scrub(peopled / "out", root=peopled)
    assert code == 0, lines


def test_the_study_is_checked_before_anything_runs(peopled):
    path = peopled / "params" / "tiny.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("{column: agent, personal: true}", "agent"), encoding="utf-8")
    _, problems = parameters.check("tiny", root=peopled)
    assert any("stand open in operations" in str(problem) for problem in problems)


def test_the_canary_would_be_found(tmp_path):
    """The search itself can fail."""
    (tmp_path / "a.svg").write_text("<svg><!-- Ana Gil --></svg>", encoding="utf-8")
    assert [each.kind for each in scrub.scan(Path(tmp_path), secrets=CANARIES)] == ["secret"]
