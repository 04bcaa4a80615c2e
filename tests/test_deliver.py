"""What is sent arrives whole, once, and nowhere else; what is brought is what was sent."""

import hashlib
import json
import os
import sys
import threading
import uuid
from pathlib import Path

import pandas as pd
import pytest

fsspec = pytest.importorskip("fsspec")

from sqm import deliver, ledger  # noqa: E402 - needs the extra
from sqm.checks import Problem  # noqa: E402
from sqm.places import PHASES  # noqa: E402
from sqm.run import Outcome  # noqa: E402


@pytest.fixture(params=["memory", "file"])
def address(request, tmp_path):
    """An empty address of each kind that can be tried without a network."""
    if request.param == "file":
        yield (tmp_path / "there").as_uri()
        return
    base = f"/{uuid.uuid4().hex}"
    yield f"memory:/{base}/studies"
    memory = fsspec.filesystem("memory")
    if memory.exists(base):
        memory.rm(base, recursive=True)


@pytest.fixture
def sent(monkeypatch):
    """The names of the files that are sent from now on, in order."""
    names, put = [], deliver._There.put

    def noted(there, file, name):
        names.append(name)
        put(there, file, name)

    monkeypatch.setattr(deliver._There, "put", noted)
    return names


def test_a_phase_is_sent_with_its_record_last(tmp_path, address, sent):
    folder = finish(tmp_path / "out" / "tiny", phases=("define",), run=False)
    deliver.send(folder, address, "tiny", "define")
    assert sent == ["define/1-define.ipynb", "define/answer.csv", "define/made.json"]
    assert there(address) == {f"tiny/{name}" for name in sent}


def test_what_is_the_same_is_not_sent_again(tmp_path, address, sent):
    folder = finish(tmp_path / "tiny")
    deliver.send(folder, address, "tiny")
    assert sent[-2:] == ["report.html", "run.json"]
    sent.clear()
    deliver.send(folder, address, "tiny")
    deliver.send(folder, address, "tiny")
    assert sent == []
    finish(folder, phases=("measure",), answer="2")
    deliver.send(folder, address, "tiny", "measure")
    assert sent == ["measure/answer.csv", "measure/made.json"]
    sent.clear()
    finish(folder, phases=("measure",), answer="2", clock=2)  # run again by force
    deliver.send(folder, address, "tiny", "measure")
    assert sent == ["measure/2-measure.ipynb", "measure/made.json"]


def test_a_run_comes_back_as_it_was(tmp_path, address):
    folder = finish(tmp_path / "tiny")
    deliver.send(folder, address, "tiny")
    deliver.fetch(address, "tiny", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(folder)


def test_nothing_is_brought_from_an_empty_address(tmp_path, address):
    deliver.fetch(address, "tiny", tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_what_nobody_wrote_this_time_is_taken_away(tmp_path, address):
    folder = finish(tmp_path / "tiny")
    (folder / "define" / "old.svg").write_text("x")
    (folder / "failed").mkdir()
    (folder / "failed" / "2-measure.ipynb").write_text("x")
    deliver.send(folder, address, "tiny")
    (folder / "define" / "old.svg").unlink()
    (folder / "failed" / "2-measure.ipynb").unlink()
    finish(folder, answer="2")
    deliver.send(folder, address, "tiny")
    assert there(address) == {f"tiny/{name}" for name in contents(folder)}


def test_the_last_finished_run_lies_in_previous_until_the_next_has_arrived(tmp_path, address):
    folder = finish(tmp_path / "tiny")
    deliver.send(folder, address, "tiny")
    first = read(address, "tiny/run.json")
    finish(folder, phases=("define",), answer="2", run=False)
    (folder / "run.json").unlink()
    deliver.send(folder, address, "tiny", "define")
    assert "tiny/run.json" not in there(address)
    assert "tiny/report.html" not in there(address)
    assert read(address, "tiny/previous/run.json") == first
    assert read(address, "tiny/previous/define/answer.csv") == b"1"
    assert read(address, "tiny/define/answer.csv") == b"2"
    deliver.send(folder, address, "tiny")  # a study that failed then: previous stays
    assert read(address, "tiny/previous/run.json") == first
    finish(folder, answer="2")
    deliver.send(folder, address, "tiny")
    assert not [name for name in there(address) if "previous" in name]


def test_a_phase_that_was_cut_off_has_no_record_and_is_not_brought(tmp_path, address, monkeypatch):
    folder = finish(tmp_path / "tiny")
    deliver.send(folder, address, "tiny")
    finish(folder, answer="2", run=False)
    with monkeypatch.context() as patch:
        patch.setattr(deliver._There, "put", _cut_off(after=1))
        with pytest.raises(Problem, match="cannot be reached: OSError: cut off"):
            deliver.send(folder, address, "tiny", "define")
    deliver.fetch(address, "tiny", tmp_path / "again")
    assert not (tmp_path / "again" / "define" / "made.json").exists()
    assert (tmp_path / "again" / "measure" / "made.json").exists()
    assert not (tmp_path / "again" / "run.json").exists()


def test_a_file_that_differs_from_its_record_is_not_brought(tmp_path, address):
    deliver.send(finish(tmp_path / "tiny"), address, "tiny")
    system, base = fsspec.core.url_to_fs(address)
    system.pipe_file(f"{base}/tiny/measure/answer.csv", b"somebody's")
    deliver.fetch(address, "tiny", tmp_path / "again")
    assert not (tmp_path / "again" / "measure" / "made.json").exists()
    assert (tmp_path / "again" / "define" / "made.json").exists()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "..\\x", "c:x", "a\0b", ".x", ""])
def test_no_name_leads_out_of_the_folder(tmp_path, address, name):
    system, base = fsspec.core.url_to_fs(address)
    record = json.dumps({"written": {name: hashlib.sha256(b"x").hexdigest()}}).encode()
    system.makedirs(f"{base}/tiny/define", exist_ok=True)
    system.pipe_file(f"{base}/tiny/define/made.json", record)
    system.pipe_file(f"{base}/tiny/x", b"x")
    with pytest.raises(Problem, match="cannot name a file of a study"):
        deliver.fetch(address, "tiny", tmp_path / "again" / "tiny")
    assert not list(tmp_path.glob("again/**/*x"))


def test_no_study_leads_out_of_the_address(tmp_path, address):
    for act in (deliver.fetch, lambda a, s, f: deliver.send(f, a, s)):
        with pytest.raises(Problem, match="cannot name a study"):
            act(address, "../other", tmp_path)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_a_link_is_not_followed_out_of_the_folder(tmp_path, address):
    (tmp_path / "secret").write_text("s")
    folder = finish(tmp_path / "tiny")
    try:
        (folder / "define" / "link.csv").symlink_to(tmp_path / "secret")
    except OSError:
        pytest.skip("links are not allowed here")
    deliver.send(folder, address, "tiny")
    assert "tiny/define/link.csv" not in there(address)


def test_what_a_person_wrote_by_hand_stays(tmp_path, address):
    system, base = fsspec.core.url_to_fs(address)
    system.makedirs(f"{base}/tiny/by-hand", exist_ok=True)
    system.pipe_file(f"{base}/tiny/by-hand/1-define.ipynb", b"mine")
    deliver.send(finish(tmp_path / "tiny"), address, "tiny")
    assert read(address, "tiny/by-hand/1-define.ipynb") == b"mine"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://anna:word@host/out", "carries a password"),
        ("s3://bucket/out?signature=word", "more than a place"),
        ("simplecache::s3://bucket/word", "more than a place"),
        ("nowhere://bucket", "cannot be reached: ValueError: Protocol not known"),
    ],
)
def test_an_address_that_cannot_serve_is_a_problem_before_anything_runs(address, said):
    with pytest.raises(Problem, match=said) as refused:
        deliver.need_address(address)
    assert "word" not in str(refused.value).replace("password", "") or "simplecache" in address


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(Problem, match=r"pip install 'sqm\[cluster\]'"):
        deliver.need_address("memory://out")


def test_a_study_is_carried_out_here_and_delivered_phase_by_phase(tmp_path, address, sent):
    told = []

    def work(say):
        finish(tmp_path / "tiny", phases=("define",), run=False)
        say("tiny", "define", "done", 1.0)
        assert "tiny/define/made.json" in there(address)
        finish(tmp_path / "tiny")
        return Outcome("tiny", report="here", seconds=2.0)

    def carried(work):
        return deliver.carry(
            address, "tiny", tmp_path, say=lambda *event: told.append(event), work=work
        )

    assert carried(work) == Outcome("tiny", report=f"{address}/tiny/report.html", seconds=2.0)
    assert told == [("tiny", "define", "done", 1.0)]
    sent.clear()
    (tmp_path / "tiny" / "run.json").write_text("another clock")
    assert carried(lambda say: Outcome("tiny", report="here", unchanged=True)).report
    assert sent == []


def test_what_cannot_be_delivered_is_a_failure_of_that_study(tmp_path, address, monkeypatch):
    monkeypatch.setattr(deliver._There, "put", _cut_off(after=0))
    folder = tmp_path / "tiny"

    def work(say):
        finish(folder)
        say("tiny", "define", "done", 1.0)
        return Outcome("tiny", report="here")

    ended = deliver.carry(address, "tiny", tmp_path, say=lambda *event: None, work=work)
    assert "cut off" in ended.reason
    assert ended.report == ""


# --- ledgers ------------------------------------------------------------------------------------


def test_two_fresh_folders_add_to_one_ledger(tmp_path, address):
    def carried(out, option):
        def work(say):
            note(out / "tiny", option)
            say("tiny", "define", "done", 1.0)
            finish(out / "tiny", answer=option)
            return Outcome("tiny", report="here")

        quiet = deliver.carry(address, "tiny", out, say=lambda *event: None, work=work)
        assert quiet.reason == ""
        return read(address, "tiny/ledger/forecasts.csv")

    first = carried(tmp_path / "one", "train")
    second = carried(tmp_path / "two", "hire")
    assert second.startswith(first)
    deliver.fetch(address, "tiny", tmp_path / "three" / "tiny")
    path = tmp_path / "three" / "tiny" / "ledger" / "forecasts.csv"
    assert ledger.read(path)["option"].tolist() == ["train", "hire"]
    assert not [name for name in there(address) if name.startswith("tiny/previous")]


def test_who_has_no_ledger_removes_none(tmp_path, address):
    folder = finish(tmp_path / "one" / "tiny")
    row = note(folder, "train")
    deliver.send(folder, address, "tiny")
    deliver.send(finish(tmp_path / "two" / "tiny", answer="2"), address, "tiny")
    assert read(address, "tiny/ledger/forecasts.csv") == row
    deliver.send(finish(tmp_path / "three" / "tiny", run=False), address, "tiny")  # a failed study
    assert read(address, "tiny/ledger/forecasts.csv") == row


def test_a_ledger_is_sent_with_the_phase_and_before_it(tmp_path, address, sent):
    folder = finish(tmp_path / "tiny", phases=("define",), run=False)
    note(folder, "train")
    (folder / "ledger" / ".forecasts.csv.lock").touch()
    deliver.send(folder, address, "tiny", "define")
    assert sent[0] == "ledger/forecasts.csv"
    assert [name for name in sent if "lock" in name] == []
    sent.clear()
    deliver.send(folder, address, "tiny", "define")
    assert sent == []


def test_rows_that_could_not_be_sent_stay_and_are_sent_later(tmp_path, address):
    folder = finish(tmp_path / "tiny")
    first = note(folder, "train")
    deliver.send(folder, address, "tiny")
    both = note(folder, "hire")
    unchanged = deliver.carry(
        address,
        "tiny",
        tmp_path,
        say=lambda *event: None,
        work=lambda say: Outcome("tiny", report="here", unchanged=True),
    )
    assert unchanged.reason == ""
    assert (folder / "ledger" / "forecasts.csv").read_bytes() == both
    assert both.startswith(first) and read(address, "tiny/ledger/forecasts.csv") == both


def test_two_ledgers_that_went_different_ways_are_a_problem(tmp_path, address):
    row = note(tmp_path / "one" / "tiny", "train")
    deliver.send(tmp_path / "one" / "tiny", address, "tiny")
    other = note(tmp_path / "two" / "tiny", "hire")
    for act in (deliver.fetch, lambda a, s, f: deliver.send(f, a, s)):
        with pytest.raises(Problem, match="each hold rows that the other does not"):
            act(address, "tiny", tmp_path / "two" / "tiny")
    assert read(address, "tiny/ledger/forecasts.csv") == row
    assert (tmp_path / "two" / "tiny" / "ledger" / "forecasts.csv").read_bytes() == other


def test_nothing_runs_without_its_ledger(tmp_path, address, monkeypatch):
    folder = finish(tmp_path / "one" / "tiny")
    row = note(folder, "train")
    deliver.send(folder, address, "tiny")
    cat = deliver._There.read

    def no_ledger(there, name):
        if name.startswith("ledger/"):
            raise OSError("cut off")
        return cat(there, name)

    monkeypatch.setattr(deliver._There, "read", no_ledger)
    ran = []
    ended = deliver.carry(
        address, "tiny", tmp_path / "two", say=lambda *event: None, work=ran.append
    )
    assert "cut off" in ended.reason and ran == []
    assert read(address, "tiny/ledger/forecasts.csv") == row


# --- the folder here ----------------------------------------------------------------------------


def test_each_address_has_a_folder_of_its_own_beside_the_local_runs(tmp_path):
    first = deliver.staging("s3://bucket/studies", tmp_path)
    expected = hashlib.sha256(b"s3://bucket/studies").hexdigest()[:16]
    assert first == tmp_path / ".sent" / expected
    assert deliver.staging("s3://bucket/studies/", tmp_path) == first
    assert deliver.staging("s3://bucket/other", tmp_path) != first


def test_a_delivery_leaves_the_local_run_alone(tmp_path, address):
    deliver.send(finish(tmp_path / "older" / "tiny", answer="0"), address, "tiny")
    local = finish(tmp_path / "tiny", answer="1")
    before, out = contents(local), deliver.staging(address, tmp_path)

    def work(say):
        assert (out / "tiny" / "define" / "answer.csv").read_text() == "0"
        finish(out / "tiny", answer="2")
        return Outcome("tiny", report="here")

    assert deliver.carry(address, "tiny", out, say=lambda *event: None, work=work).report
    assert contents(local) == before
    assert read(address, "tiny/define/answer.csv") == b"2"


def test_a_second_delivery_from_the_same_folder_waits_or_is_a_problem(
    tmp_path, address, monkeypatch
):
    monkeypatch.setattr(deliver, "PATIENCE", 0.1)
    ran, seconds = [], []

    def carried(work):
        return deliver.carry(address, "tiny", tmp_path, say=lambda *event: None, work=work)

    def work(say):
        second = threading.Thread(target=lambda: seconds.append(carried(ran.append)))
        second.start()
        second.join()
        finish(tmp_path / "tiny")
        return Outcome("tiny", report="here")

    assert carried(work).report
    assert f"is being run by process {os.getpid()} on " in seconds[0].reason
    assert ran == []
    assert not list(Path(tmp_path / ".tiny").glob(".holder"))


def test_nothing_is_brought_into_a_folder_that_somebody_works_in(tmp_path, address, monkeypatch):
    execute = pytest.importorskip("sqm.execute")
    monkeypatch.setattr(deliver, "PATIENCE", 0.1)
    deliver.send(finish(tmp_path / "older" / "tiny", answer="0"), address, "tiny")
    ran, here = [], finish(tmp_path / "tiny")
    with execute.lock(here):
        before = contents(here)
        ended = deliver.carry(address, "tiny", tmp_path, say=lambda *event: None, work=ran.append)
        assert "is being run by process" in ended.reason
        assert contents(here) == before
    assert ran == []


def note(folder, option):
    """Add a row to the study's own ledger; hand back the whole file."""
    path = folder / "ledger" / "forecasts.csv"
    ledger.append(path, pd.DataFrame({"option": [option], "estimate": [-12.5]}))
    return path.read_bytes()


def finish(folder, *, phases=("define", "measure"), answer="1", clock=1, run=True):
    """Write a study's folder as a run leaves it; ``answer`` stands in every table."""
    written = {}
    for phase in phases:
        (folder / phase).mkdir(parents=True, exist_ok=True)
        (folder / phase / "answer.csv").write_text(answer)
        notebook = f"{PHASES.index(phase) + 1}-{phase}.ipynb"
        (folder / phase / notebook).write_text(f"at {clock} o'clock")
        files = {"answer.csv": sha(answer)}
        (folder / phase / "made.json").write_text(json.dumps({"key": answer, "written": files}))
        written[f"{phase}/answer.csv"] = sha(answer)
    if run:
        (folder / "report.html").write_text(answer)
        record = {"written": {**written, "report.html": sha(answer)}}
        (folder / "run.json").write_text(json.dumps(record))
    return folder


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def there(address):
    system, base = fsspec.core.url_to_fs(address)
    system.invalidate_cache()
    return {str(path)[len(base) :].lstrip("/") for path in system.find(base)}


def read(address, name):
    system, base = fsspec.core.url_to_fs(address)
    return system.cat_file(f"{base}/{name}")


def _cut_off(*, after):
    put, done = deliver._There.put, []

    def some(there, file, name):
        if len(done) == after:
            raise OSError("cut off")
        done.append(name)
        put(there, file, name)

    return some
