"""What a study's file or a query may not say is refused in words, before anything comes of it."""

import json
import time

import pytest
from conftest import write_study
from hostile_corpus import HARMLESS, texts
from sqlalchemy.engine import make_url

from sqm import parameters
from sqm.checks import Problem
from sqm.cli import DONE, WRONG, main
from sqm.files import no_database, one_select
from sqm.parameters import read_value
from sqm.places import locate

DEEP = 400_000


@pytest.mark.parametrize(
    "trap",
    [
        "[" * DEEP,
        "{a: " * 100 + "1",
        "- " * DEEP + "1",
        "title: " + "[" * 60 + "]" * 60,
        "!!python/object/apply:os.system [id]",
        "title: !!timestamp x",
        "title: !!float x",
        "title: !!set {a, b}",
        "title: ! x",
        "title: &a [1]\ndata: *a",
        'title: "\\ud800"',
        'title: "\\udc80x"',
        "title: a\x00b",
        "title: [1, 2",
        "? [a]\n: 1",
    ],
    ids=lambda trap: ascii(trap[:24]),
)
def test_a_trap_of_yaml_is_a_problem_at_once(project, trap):
    (project / "params" / "trap.yml").write_text(trap, encoding="utf-8")
    begun = time.monotonic()
    with pytest.raises(Problem, match=r"trap\.yml is no readable YAML"):
        parameters.load("trap", root=project)
    assert time.monotonic() - begun < 10  # minutes, if it were read to its end
    assert main(["check", "tiny", "--set", f"define.names={trap[:10_000]}"]) == WRONG


def test_whatever_is_written_after_a_name_is_a_text_or_a_problem(project):
    for text in texts("yaml", "control", "half a letter", "breaking out", longest=500):
        path = write_study(project, "tiny")
        path.write_bytes(f"{path.read_text()}define: {text}\n".encode("utf-8", "surrogatepass"))
        parameters.check("tiny", root=project)  # it says what is wrong, and raises nothing


def test_texts_come_out_of_a_studys_file_as_they_were_put_in():
    strings = [*HARMLESS, *texts("terminal", "template", "formula", "bidi", "tower", longest=500)]
    assert [read_value(json.dumps(text)) for text in strings] == strings
    assert read_value(json.dumps("😀 \U0001f469\u200d\U0001f4bb")) == "😀 👩\u200d💻"


def test_a_number_too_long_to_be_one_is_a_text():
    assert read_value("9" * 5_000) == "9" * 5_000
    assert read_value("123456789012345678") == 123456789012345678


def test_a_path_that_no_file_can_have_is_a_problem(project):
    for text in ("x" * 5_000, "a\x00b", "~nobody-has-this-name/x", "\ud800"):
        with pytest.raises(Problem, match="There is no file"):
            locate(f"{text}.yml", root=project)


@pytest.mark.parametrize(
    "ledger", ["../away", "/tmp", "data/../..", "data/link", "a\x00b", "~/x/../.."]
)
def test_a_ledger_does_not_leave_the_project(project, tmp_path_factory, ledger):
    if not (project / "data" / "link").exists():
        (project / "data" / "link").symlink_to(tmp_path_factory.mktemp("away"))
    path = write_study(project, "tiny")
    said = path.read_text().replace("data:\n", f"data:\n  ledger: {json.dumps(ledger)}\n")
    path.write_text(said, encoding="utf-8")
    if ledger == "~/x/../..":  # a tilde is a name like any other: this leads to the project itself
        assert parameters.load("tiny", root=project).ledger == ledger
        return
    with pytest.raises(Problem, match="lies outside the project"):
        parameters.load("tiny", root=project)
    assert main(["check", "tiny"]) == WRONG


def test_a_title_of_halves_or_lines_does_not_stop_the_list(project, capsys):
    path = write_study(project, "tiny")
    title = json.dumps("a 😀\nforged   finished")
    path.write_text(path.read_text().replace("A tiny study", title), encoding="utf-8")
    assert main(["list"]) == DONE
    assert capsys.readouterr().out.splitlines() == [
        f"{'tiny':<24} {'never run':<28} a 😀 forged finished"
    ]


@pytest.mark.parametrize(
    "query",
    [
        "select 1; delete from t",
        "select '/*'; delete from t; select '*/'",
        "select 1 --'\n; delete from t --'",
        "select 1 --\r; delete from t",
        "select E'\\''; delete from t; select 'x'",
        "select $$'$$; delete from t; select $$'$$",
        "select $a$'$a$; delete from t; select $a$'$a$",
        "select 1 # '\n; delete from t # '",
        "select 1 /*! into outfile '/tmp/x' */ from t",
        "select 1 /*M! into outfile '/tmp/x' */ from t",
        "select 1 /* /* */ ; delete from t -- */",
        "select 5--1; delete from t",
        "select a[(select 1)]; delete from t",
        "with x as (delete from t returning 1) select * from x",
        "select * into away from t",
        "select * from t for update",
        "select lo_export(1, '/tmp/x')",
        "select array[lo_export(1, '/tmp/x')]",
        "select \"lo_export\"(1, '/tmp/x')",
        "select lo_export/**/(1, '/tmp/x')",
        "select pg_read_file('/etc/passwd')",
        "select pg_sleep(9)",
        "select U&\"pg\\005fread_file\"('/etc/passwd')",
        "select U&\"pg!005fread_file\" UESCAPE '!' ('/etc/passwd')",
        "select pg_read_file/* /* */ */('/etc/passwd')",
        "select \"pg_read_file\" /* /* */ */ ('/etc/passwd')",
        "select '--', pg_read_file('/etc/passwd')",
        "select E'\\'--', pg_read_file /**/ -- x\n ('/etc/passwd')",
        "select pg_read_file -- x\r ('/etc/passwd')",
        "select pg_stat_reset()",
        "select pg_backup_start('x')",
        "select pg_catalog.pg_wal_replay_pause()",
        "select pg_import_system_collations('public')",
        "select pg_get_viewdef_and_more('x')",
        "select dblink_exec('dbname=x', 'delete from t')",
        "select set_config('transaction_read_only', 'off', false)",
        "select nextval('s')",
        "select load_extension('x')",
        "select query_to_xml('delete from t', true, true, '')",
        "copy t to program 'id'",
        "table t",
        "explain analyze delete from t",
        "do $$ begin end $$",
        "attach database 'x' as y",
        "",
        ";",
    ],
)
def test_a_query_that_does_more_than_read_is_refused(query):
    with pytest.raises(Problem, match="is not a single SELECT"):
        one_select(query, "complaints")


@pytest.mark.parametrize(
    "query",
    [
        "select * from t",
        "with x as (select 1) select * from x;",
        "select 'a; b', \"set\", `lock`, [delete] from t -- a comment; too\nwhere a = 'it''s'",
        "select data #>> '{a}' from t where note like '%x%' and c <> '-- none'",
        'select /* both; kinds */ tags[1], updated, "into" from t',
        "select 1 as sleeping, asleep(2) from t",
        "select pg_typeof(a), pg_size_pretty(pg_total_relation_size('t')) from pg_catalog.pg_class",
    ],
)
def test_a_query_that_reads_passes_as_it_is(query):
    assert one_select(query, "complaints") == query.rstrip(";")


@pytest.mark.parametrize(
    "said",
    [
        'invalid input syntax for type integer: "Ana Gil"\nLINE 1: select "who"',
        'invalid input syntax for type integer: "the "Ana Gil" of\nold"',
        'invalid input syntax for type integer: "Ana Gil',
        'value "Ana Gil" is out of range for type integer',
        "Incorrect integer value: 'Ana Gil' for column 'who' at row 1",
        "Conversion failed when converting the varchar value 'Ana Gil' to data type int.",
    ],
)
def test_what_a_database_quotes_of_the_data_is_not_passed_on(said):
    error = RuntimeError("x")
    error.orig = said
    told = str(no_database("complaints", make_url("postgresql://h/d"), error))
    assert "Ana" not in told
    assert "old" not in told
    assert "…" in told


def test_a_name_that_a_database_quotes_is_passed_on():
    error = RuntimeError("x")
    error.orig = 'relation "visits" does not exist'
    assert 'relation "visits" does' in str(no_database("own", make_url("sqlite://"), error))
