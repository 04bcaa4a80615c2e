"""From a file to text: what is detected, and what is refused with its line."""

import csv
import gzip
import hashlib
import sqlite3
from datetime import date, datetime
from decimal import Decimal

import pandas as pd
import pytest

from sqm import files
from sqm.checks import Problem
from sqm.roles import Table

NAMES = "a,b,c\n"


# without a time within, so that tests that run side by side know them by one name
EMPTY_GZIP = gzip.compress(b"", mtime=0)
CUT_GZIP = gzip.compress(b"a\n" + b"x\n" * 999, mtime=0)[:-9]


def described(columns="a", **said):
    roles = {column: column for column in columns.split()}
    return Table.model_validate({"roles": roles} | said)


@pytest.fixture
def put(tmp_path):
    """Put bytes into a file; hand back a table's description and where it lies."""

    def puts(content, *, file="t.csv", **said):
        if content is not None:
            (tmp_path / file).write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )
        return described(path=file, **said), tmp_path

    return puts


@pytest.fixture
def whole(put):
    def reads(content, **said):
        table, root = put(content, **said)
        return files.whole(table, "own", root=root)

    return reads


@pytest.fixture
def column(whole):
    """The texts in the source's column of this name, after its header passed."""
    return lambda name, content, **said: whole(content, **said).under([name])[name].tolist()


@pytest.fixture
def refused(put):
    """What is wrong with a file as far as its header and first row show."""

    def refuses(content, **said):
        table, root = put(content, **said)
        with pytest.raises(Problem) as problem:
            files.need_header(files.head(table, "own", root=root), table, "own")
        return str(problem.value)

    return refuses


# --- files --------------------------------------------------------------------------------------


def test_a_missing_file_names_its_neighbour(refused, tmp_path):
    (tmp_path / "surveys.csv").write_text("a\n1\n")
    said = refused(None, file="survey.csv")
    assert "there is no file survey.csv" in said
    assert "did you mean 'surveys.csv'?" in said
    assert "its folder is not there" in refused(None, file="gone/survey.csv")


def test_a_missing_file_among_many_does_not_list_them(refused, tmp_path):
    for n in range(21):
        (tmp_path / f"export-{n}.csv").write_text("a\n1\n")
    assert "check the name and the folder" in refused(None, file="zzz.sav")


def test_paths_may_be_absolute_or_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "t.csv").write_text("a\n1\n")
    for path in (str(tmp_path / "t.csv"), "~/t.csv"):
        assert len(files.whole(described(path=path), "own", root=tmp_path / "other").cells) == 1


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"a,b\n", b"\xef\xbb\xbf", b"\xef\xbb\xbfa\n", EMPTY_GZIP]
)
def test_an_empty_table_is_a_problem_before_and_while_reading(whole, refused, content):
    file = "t.csv.gz" if content.startswith(b"\x1f") else "t.csv"
    assert f"{file} has no rows" in refused(content, file=file)
    with pytest.raises(Problem, match=r"t\.csv(\.gz)? has no rows"):
        whole(None, file=file)


def test_one_row_can_be_read(column):
    assert column("a", "a\nx\n") == ["x"]


def test_a_folder_an_old_excel_and_an_unknown_ending(refused, tmp_path):
    (tmp_path / "d.csv").mkdir()
    assert "is a folder" in refused(None, file="d.csv")
    assert "before 2007" in refused("x", file="t.xls")
    assert "known endings" in refused("x", file="t.doc")
    assert "known endings" in refused("x", file="t.xlsx.gz")
    assert "has no sheets" in refused("a\n1\n", sheet="S")


def test_the_hash_is_that_of_the_file(whole):
    content = gzip.compress(b"a\nx\n")
    raw = whole(content, file="t.csv.gz")
    assert raw.sha256 == hashlib.sha256(content).hexdigest()
    assert raw.cells[0].tolist() == ["x"]


@pytest.mark.parametrize("content", [b"no gzip at all", CUT_GZIP])
def test_a_broken_gzip_is_said_to_be_one(whole, content):
    with pytest.raises(Problem, match="no whole gzip file"):
        whole(content, file="t.csv.gz")


# --- encodings and separators -------------------------------------------------------------------

SPANISH = "a,b\n" + "".join(
    f"{n},La atención al señor Núñez fue pésima; no llegó el técnico en todo el año\n"
    for n in range(9)
)
CHINESE = "a,b\n" + "".join(
    f"{n},快递太慢了，等了一个星期还没有到，客服态度也很差\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "encoding", "noted"),
    [
        (SPANISH, "utf-8", "utf-8"),
        (SPANISH, "utf-8-sig", "utf-8-sig"),
        (SPANISH, "utf-16", "utf-16"),
        (SPANISH, "utf-16-le", "utf-16-le"),
        (SPANISH, "utf-16-be", "utf-16-be"),
        (SPANISH, "utf-32", "utf-32"),
        (SPANISH, "latin-1", "cp1252"),  # which holds all that latin-1 does
        (SPANISH, "cp1252", "cp1252"),
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-16", "utf-16"),
        (CHINESE, "gb18030", "gb18030"),
    ],
)
def test_encodings_are_told_apart_and_noted(whole, text, encoding, noted):
    raw = whole(text.encode(encoding))
    assert raw.cells[1].tolist() == [line.partition(",")[2] for line in text.splitlines()[1:]]
    what, rows, treatment = raw.notes[0][1:]
    assert (what, rows) == (f"encoding {noted}", 9)
    assert ("guessed" in treatment) == (not noted.startswith("utf"))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SPANISH, "utf-8"),
        (SPANISH, "utf-16"),
        (SPANISH, "utf-16-le"),
        (CHINESE, "utf-8"),
        (CHINESE, "gb18030"),
    ],
)
def test_the_header_of_a_large_file_is_read_from_its_start_alone(put, text, encoding):
    text = text.partition("\n")[0] + "\n" + text.partition("\n")[2] * 3_000
    table, root = put(text.encode(encoding))
    assert len(text.encode(encoding)) > files.START
    assert files.head(table, "own", root=root).header == ["a", "b"]


def test_an_encoding_can_be_given_and_is_believed(column, whole):
    assert column("a", "a\nCafé\n".encode("mac-roman"), encoding="mac-roman") == ["Café"]
    with pytest.raises(Problem, match="line 3 cannot be read as utf-8"):
        whole("a\nx\nCafé\n".encode("latin-1"), encoding="utf-8")
    with pytest.raises(Problem, match="is no encoding"):
        whole("a\nx\n", encoding="utf-80")


def test_two_encodings_in_one_file_are_refused_by_line(whole):
    content = b"a\n" + "año\n".encode() * 9 + "señor\n".encode("latin-1")
    with pytest.raises(Problem, match=r"9 lines are UTF-8, 1 are not \(first lines: 11\)"):
        whole(content)


def test_nul_bytes_are_refused_by_line(whole):
    with pytest.raises(Problem, match="line 3 holds a NUL byte"):
        whole(b"a\nx\n" + b"y\0y" + b"\nzzzzzzzzzzzzzzzz\n")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_detected_and_noted(whole, separator):
    lines = [["a", "b", "c"], ["1", '"x,y"', "3"], ["4", '"u;v|w\tz"', "6"]]
    raw = whole("\n".join(separator.join(line) for line in lines))
    assert raw.cells[1].tolist() == ["x,y", "u;v|w\tz"]
    shown = "tab" if separator == "\t" else separator
    assert raw.notes[1] == ("", f"separator {shown}", 2, "detected")


def test_a_separator_can_be_given_and_is_believed(whole):
    raw = whole("a,b c\n1,2 3\n", separator=" ")
    assert raw.header == ["a,b", "c"]
    assert raw.notes[1] == ("", "separator space", 1, "as the parameters say")


def test_a_decimal_comma_does_not_pass_for_a_separator(column):
    assert column("b", "a;b;c\n1;2,5;x\n2;3,25;y\n") == ["2,5", "3,25"]


def test_one_column_needs_no_separator(column):
    assert column("a", "a\nx y\nz\n") == ["x y", "z"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_newlines_of_every_kind_and_inside_quotes(column, newline):
    text = newline.join(["a,b,c", '1,"two', 'lines",3', "4,5,6", ""])
    assert column("b", text) == [f"two{newline}lines", "5"]


def test_lines_with_too_many_or_too_few_values_are_named(whole):
    with pytest.raises(Problem, match=r"line 3 has 4 values where the header has 3 \(2 such lines"):
        whole(NAMES + "1,2,3\n1,2,3,4\n1,2\n")


def test_an_open_quotation_mark_does_not_swallow_the_rest(whole):
    with pytest.raises(Problem, match="quotation marks do not match"):
        whole(NAMES + '1,"2,3\n4,5,6\n')


def test_blank_lines_are_no_rows(column):
    assert column("a", NAMES + "\n1,2,3\n\n4,5,6\n\n") == ["1", "4"]


def test_a_file_longer_than_one_piece_keeps_its_order(column):
    rows = [str(n) for n in range(files.PIECE + 2)]
    assert column("a", "a\n" + "\n".join(rows)) == rows


def test_customers_words_come_through_whole(put, column):
    letters = [
        "<script>alert(1)</script>",
        '=cmd|"/c calc"!A1',
        "😀 太慢了",
        "x" * 100_000,
        "y" * 200_000,
        " two\nlines, 'quoted' ",
        "NA",
        "null",
    ]
    quoted = "".join('"' + letter.replace('"', '""') + '"\n' for letter in letters)
    table, root = put("a\n" + quoted)
    assert files.head(table, "own", root=root).header == ["a"]
    assert column("a", None) == letters


def test_a_file_is_never_whole_in_memory(put, monkeypatch):
    rows = "".join(f'{n},"à {n}\n",x\n' for n in range(30_000))
    table, root = put(gzip.compress((NAMES + rows).encode()), file="t.csv.gz")
    monkeypatch.setattr(files, "_content", None)  # what takes a file whole
    found = files.whole(table, "own", root=root, wanted=["b"])
    assert found.cells[1].tolist() == [f"à {n}\n" for n in range(30_000)]


@pytest.mark.parametrize("wrong", ["\0", "\udce9"], ids=["NUL", "an older encoding's letter"])
def test_what_is_wrong_far_into_a_file_is_found_there(whole, wrong):
    rows = "é,2,3\n" * 300_000 + f"{wrong},2,3\n"
    with pytest.raises(Problem, match=r"line 300002 |first lines: 300002"):
        whole((NAMES + rows).encode("utf-8", "surrogateescape"))


def test_parquet_of_typed_and_repeated_words(whole, tmp_path):
    frame = pd.DataFrame({"a": pd.Categorical(["x", None, "y"]), "b": ["é", None, ""]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert whole(None, file="t.parquet").cells.to_numpy().tolist() == [
        ["x", "é"],
        ["", ""],
        ["y", ""],
    ]


def test_reading_leaves_the_csv_modules_limit_as_it_was(whole):
    before = csv.field_size_limit()
    whole("a\nx\n")
    assert csv.field_size_limit() == before


# --- headers ------------------------------------------------------------------------------------


def test_a_missing_column_gets_the_nearest_spelling(refused):
    said = refused("courtesy_1,b\n1,2\n", columns="curtesy_1")
    assert "t.csv has no column 'curtesy_1'." in said
    assert "did you mean 'courtesy_1'?" in said
    assert "did you mean ' Site'?" in refused(" Site,sites\n1,2\n", columns="site")


def test_a_column_that_stands_twice_is_refused_only_if_needed(put, refused):
    table, root = put("a,b,b\n1,2,3\n")
    files.need_header(files.head(table, "own", root=root), table, "own")
    assert "has 2 columns named 'b'" in refused(None, columns="b")


def test_texts_leave_out_columns_that_no_role_can_point_to(put):
    table, root = put("a,b,b,,c\n1,2,3,4, 5 \n")
    assert files.texts(table, "own", root=root).to_dict("records") == [{"a": "1", "c": " 5 "}]


def test_only_wanted_columns_are_held(put):
    table, root = put(NAMES + "1,2,3\n")
    raw = files.whole(table, "own", root=root, wanted=("b",))
    assert (raw.header, list(raw.cells)) == (["a", "b", "c"], [1])


# --- Excel, Parquet, SPSS, SQL ------------------------------------------------------------------

FRAME = pd.DataFrame(
    {
        "id": [1, 2],
        "when": [datetime(2025, 1, 2, 9, 30), datetime(2025, 1, 3)],
        "score": [4.5, None],
        "ok": [True, False],
        "word": ["sí", None],
    }
)
TEXTS = [["1", "2025-01-02 09:30:00", "4.5", "true", "sí"], ["2", "2025-01-03 00:00:00"]]
TEXTS[1] += ["", "false", ""]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.5", "1.5"),  # a text stays as it is
        (Decimal("1.50"), "1,50"),
        (0.1, "0,1"),
        (3.0, "3"),
        (-7, "-7"),
        (float("nan"), ""),
        (pd.NaT, ""),
        (date(2025, 1, 2), "2025-01-02"),
        (pd.Timestamp("2025-01-02T03:04"), "2025-01-02 03:04:00"),
    ],
)
def test_typed_values_become_the_text_that_reads_back(value, text):
    assert files.as_text(value, ",") == text


@pytest.mark.parametrize("decimal", [".", ","])
def test_excel(put, whole, refused, tmp_path, decimal):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        pd.DataFrame({"x": [1]}).to_excel(book, sheet_name="First", index=False)
        FRAME.to_excel(book, sheet_name="Data", index=False)
    table, root = put(None, file="t.xlsx", columns="id", sheet="Data", decimal=decimal)
    files.need_header(files.head(table, "own", root=root), table, "own")
    found = files.whole(table, "own", root=root).cells.to_numpy().tolist()
    assert found == [[each.replace("4.5", f"4{decimal}5") for each in row] for row in TEXTS]
    assert whole(None, file="t.xlsx").notes == [
        ("", "sheet First", 1, "first of several, read alone")
    ]
    assert "did you mean 'Data'?" in refused(None, file="t.xlsx", sheet="Date")
    assert "has no column 'id'" in refused(None, file="t.xlsx", columns="id")
    assert "cannot be opened" in refused(b"PK but no book", file="u.xlsx")


def test_a_sheet_with_values_beyond_its_header_is_refused(whole, tmp_path):
    pd.DataFrame([["a", None], ["1", "2"]]).to_excel(tmp_path / "t.xlsx", header=False, index=False)
    with pytest.raises(Problem, match="values beyond its last column's heading"):
        whole(None, file="t.xlsx")


def test_parquet(put, whole, refused, tmp_path):
    FRAME.to_parquet(tmp_path / "t.parquet")
    table, root = put(None, file="t.parquet", columns="id word")
    files.need_header(files.head(table, "own", root=root), table, "own")
    assert whole(None, file="t.parquet").cells.to_numpy().tolist() == TEXTS
    assert "cannot be opened as .parquet" in refused(b"nothing", file="u.parquet")
    FRAME.head(0).to_parquet(tmp_path / "empty.parquet")
    assert "has no rows" in refused(None, file="empty.parquet")


def test_spss_with_user_missing_values_and_labels(put, whole, tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    frame = pd.DataFrame({"q1": [1.0, 7.0, 9.0], "place": [1.0, 2.0, 1.0]})
    pyreadstat.write_sav(
        frame,
        str(tmp_path / "t.sav"),
        missing_ranges={"q1": [9]},
        variable_value_labels={"place": {1: "Soria", 2: "Ávila"}},
    )
    table, root = put(None, file="t.sav", columns="q1")
    files.need_header(files.head(table, "own", root=root), table, "own")
    raw = whole(None, file="t.sav")
    assert raw.cells.to_numpy().tolist() == [["1", "1"], ["7", "2"], ["", "1"]]
    assert raw.labels == {"place": {"1": "Soria", "2": "Ávila"}}


@pytest.fixture
def ask(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as base:
        FRAME.assign(when=FRAME["when"].astype(str)).to_sql("t", base, index=False)
    base.close()

    def asks(query, address="sqlite:///x.db"):
        return files.whole(described(database=address, query=query), "own", root=tmp_path)

    return asks


def test_sql_reads_one_select(ask):
    raw = ask("select id, score, word from t order by id; ")
    assert raw.header == ["id", "score", "word"]
    assert raw.cells.to_numpy().tolist() == [["1", "4.5", "sí"], ["2", "", ""]]
    assert raw.sha256 == ask("select id, score, word from t order by id").sha256
    assert raw.sha256 != ask("select id, score, word from t order by id desc").sha256
    with pytest.raises(Problem, match=r"own \(query\) has no rows"):
        ask("select * from t where id > 9")


@pytest.mark.parametrize(
    "query",
    [
        "delete from t",
        "select 1; drop table t",
        "with gone as (delete from t returning *) select * from gone",
        "select * into u from t",
        "/* select */ update t set id = 2",
        "pragma table_info(t)",
        "",
    ],
)
def test_sql_that_does_more_than_read_is_refused(ask, query):
    with pytest.raises(Problem, match="not a single SELECT"):
        ask(query)


def test_words_inside_quotes_and_comments_are_no_statements(ask):
    query = "select *, 'drop; delete' as \"set\" from t -- update; nothing\n order by id"
    assert len(ask(query).cells) == 2


def test_an_address_is_never_told(ask, monkeypatch):
    told = []

    def refused(words, query, *address):
        with pytest.raises(Problem, match=words) as problem:
            ask(query, *address)
        told.append(problem.value)

    secret = "postgresql://anna:s3cret@db.example.org/clinic"
    refused("carries a password", "select 1", secret)
    monkeypatch.setenv("SQM_DATABASE", "sqlite:///gone/clinic.db")
    refused("the SQLite file is not there", "select 1", "env:SQM_DATABASE")
    monkeypatch.setenv("SQM_DATABASE", "nothing+of://anna:s3cret@db.example.org/clinic")
    refused("did not answer", "select 1", "env:SQM_DATABASE")
    monkeypatch.delenv("SQM_DATABASE")
    refused("SQM_DATABASE is not set", "select 1", "env:SQM_DATABASE")
    refused("no such column: absent", "select absent from t")
    for problem in told:
        for part in ("anna", "s3cret", "example.org", "clinic", "x.db"):
            assert part not in str(problem)
            assert part not in repr(problem.__cause__)
