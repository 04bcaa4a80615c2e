"""A cluster loses a worker and a notebook with it, never a study; and says why it cannot begin."""

import sys
import time
from pathlib import Path

import pytest
from conftest import write_notebook, write_study

distributed = pytest.importorskip("distributed")

from soak_cluster import KILLS, Machines, alive, assert_gone  # noqa: E402

from sqm import cluster, run  # noqa: E402 - needs the extra
from sqm.checks import Problem  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def nothing_is_collected():
    """A dead client of Dask that is collected while another starts waits for it for ever."""
    with cluster._uncollected():
        yield


@pytest.fixture
def quick(monkeypatch):
    """No patience with what does not answer."""
    monkeypatch.setattr(cluster, "PATIENCE", 1)


@pytest.fixture
def here(tmp_path):
    """A scheduler with one worker, both within this process."""
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address=":0",
        local_directory=str(tmp_path / "dask"),
        protocol="tcp",
    ) as local:
        yield local.scheduler_address


def planned(root, *studies, **settings):
    found, problems = run.plan(studies, root=root, out=root / "out", **settings)
    assert problems == []
    return found


def silent(*event):
    pass


# --- before anything runs -----------------------------------------------------------------------


def test_without_the_extra_it_says_what_to_install(project, monkeypatch):
    # the first test: a cluster that is being closed in the background imports from it
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Problem, match=r"pip install 'sqm\[cluster\]'"):
        cluster.run(planned(project, "tiny"), address="tcp://127.0.0.1:1", say=silent)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "http://127.0.0.1:1"])
def test_no_scheduler_is_a_problem(project, quick, address):
    with pytest.raises(Problem, match=f"No Dask scheduler answers at {address}: "):
        cluster.run(planned(project, "tiny"), address=address, say=silent)


def test_no_worker_is_a_problem(project, quick):
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address=":0", protocol="tcp"
        ) as local,
        pytest.raises(Problem, match="has no worker"),
    ):
        cluster.run(planned(project, "tiny"), address=local.scheduler_address, say=silent)


def test_a_worker_of_another_version_is_a_problem(project, here, monkeypatch):
    with (
        monkeypatch.context() as patch,
        pytest.raises(Problem, match=r"has sqm .*, and here it is 9"),
    ):
        patch.setattr(cluster.sqm, "__version__", "9")
        cluster.run(planned(project, "tiny"), address=here, say=silent)
    with (
        monkeypatch.context() as patch,
        pytest.raises(Problem, match=r"Python 3.* here it is 2\.7"),
    ):
        patch.setattr(cluster, "PYTHON", "2.7")
        cluster.run(planned(project, "tiny"), address=here, say=silent)


def test_a_worker_that_sees_another_folder_is_a_problem(project, here, monkeypatch):
    elsewhere = [project / "pyproject.toml", project / "elsewhere" / "mark"]
    monkeypatch.setattr(cluster, "_to_see", lambda root, mark: elsewhere)
    with pytest.raises(Problem, match=r"does not see .*elsewhere as this machine does"):
        cluster.run(planned(project, "tiny"), address=here, say=silent)


def test_a_worker_that_comes_late_is_looked_at_too(project):
    job = {"root": str(project)}
    assert cluster._unfit(job, cluster._Batch("t", "", ""), "tcp://w:1") == ""
    assert "batch needs sqm 9" in cluster._unfit(job, cluster._Batch("t", "", "", sqm="9"), "w")
    assert "does not see" in cluster._unfit(job, cluster._Batch("t", "", "/no/mark"), "w")


# --- how often a study is tried -----------------------------------------------------------------


def events(*said):
    return [
        {"worker": f"tcp://w:{n}", "phase": p, "state": s}
        for n, each in enumerate(said)
        for p, s in [("", "starts"), *each]
    ]


def test_a_notebook_under_which_two_workers_ended_is_given_up():
    once = [("define", "begins"), ("define", "done"), ("measure", "begins")]
    again = [("define", "unchanged"), ("measure", "begins")]
    assert cluster._given_up(events(once)) == ""
    assert "2 workers ended while it was in measure: tcp://w:0, tcp://w:1." in cluster._given_up(
        events(once, again)
    )
    assert "while it was in no phase" in cluster._given_up(events([], []))


def test_one_death_in_each_of_two_notebooks_is_bad_luck():
    once = [("define", "begins"), ("define", "done"), ("measure", "begins")]
    again = [("define", "unchanged"), *once[2:], ("measure", "done"), ("analyse", "begins")]
    assert cluster._given_up(events(once, again)) == ""


def test_what_force_has_run_once_in_this_batch_is_not_run_twice():
    job = {"force": True, "first": "define"}
    said = events([("define", "begins"), ("define", "done"), ("measure", "begins")])
    assert cluster._resumed(job, said)["first"] == "measure"
    assert cluster._resumed(job, []) == job
    assert cluster._resumed({**job, "force": False}, said)["first"] == "define"


# --- whole runs ---------------------------------------------------------------------------------


def test_a_study_that_kills_its_workers_is_given_up_and_the_others_finish(project, monkeypatch):
    monkeypatch.setenv("TINY_PIDS", str(project / "pids"))
    write_notebook(project, "measure", extra=KILLS)
    write_study(project, "killer", "measure: {names: [9]}\n")
    said = []
    with Machines(project, 3) as machines:
        killer, tiny = cluster.run(
            planned(project, "killer", "tiny"),
            address=machines.address,
            say=lambda *event: said.append(event[:3]),
        )
        assert_gone(project / "pids")
    assert "2 workers ended while it was in measure" in killer.reason
    assert not (project / "out" / "killer" / "run.json").exists()
    assert tiny.reason == "" and Path(tiny.report).is_file()
    assert said.count(("killer", "measure", "begins")) == 2
    assert said.count(("killer", "define", "begins")) == 1  # what was done is not done again
    assert said.count(("killer", "define", "unchanged")) == 1
    assert said.count(("killer", "", "failed")) == 1
    assert said.count(("tiny", "", "finished")) == 1
    assert not list((project / "out").glob(".cluster-*"))


def test_an_interrupt_here_ends_the_processes_there(project, here, monkeypatch):
    monkeypatch.setenv("TINY_PIDS", str(project / "pids"))
    write_notebook(project, "define", extra=KILLS + "time.sleep(60)")

    def interrupted(study, phase, state, seconds):
        deadline = time.monotonic() + 30
        while not alive(project / "pids") and time.monotonic() < deadline:
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(cluster.warm, "missing", lambda: "a plain process will do")
    with pytest.raises(KeyboardInterrupt):
        cluster.run(planned(project, "tiny"), address=here, say=interrupted)
    assert list((project / "pids").rglob("*"))
    assert_gone(project / "pids")
