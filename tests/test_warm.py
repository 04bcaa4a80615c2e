"""A fork is as good as a new process, and nobody outlives anybody."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sqm import warm

pytestmark = pytest.mark.skipif(bool(warm.missing()), reason="processes are forked on Linux only")
# All that a program can see of how it was started.
LOOK = """\
import json, os, random, signal, sys, threading
random.random()
mask = os.umask(0)
print(json.dumps({
    "arguments": [sys.argv, sys.orig_argv], "path": sys.path, "folder": os.getcwd(),
    "environment": dict(os.environ), "read": sys.stdin.read(), "mask": mask,
    "signals": [str(signal.getsignal(s)) for s in sorted(signal.valid_signals())],
    "blocked": [str(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "threads": [thread.name for thread in threading.enumerate()],
    "files": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
    "leads": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
    "main": [__name__, str(sys.modules["__main__"])],
    "streams": [[s.encoding, s.errors, s.line_buffering] for s in (sys.stdin, sys.stdout)],
}))
sys.exit(3)
"""
SLEEP = "import os, sys, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


@pytest.fixture
def server():
    """A server that imports next to nothing, and so is there at once."""
    with warm.Warm.start(["random", "no_such_module"]) as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    for name, content in {"looking": LOOK, "sleeping": SLEEP}.items():
        (tmp_path / f"{name}.py").write_text(content, encoding="utf-8")
    return tmp_path


def fork(server, folder, module, *arguments, **more):
    ways = {"env": {**os.environ, **warm.ENVIRONMENT}, **PIPES, **more}
    return warm.spawn(["-m", module, *arguments], address=server.address, cwd=folder, **ways)


def program(folder, content):
    (folder / "program.py").write_text(content, encoding="utf-8")
    return "program"


def is_gone(pid, within=5):
    """Whether a process has ended, or ends in a moment; one that is not buried yet has."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state.split()[0] in "ZX":
            return True
        time.sleep(0.02)
    return False


def test_a_fork_sees_what_a_new_process_sees(server, folder, monkeypatch):
    monkeypatch.delenv(warm.VARIABLE)
    environment = {**os.environ, **warm.ENVIRONMENT, "WITH": "äöü"}
    ways = {"cwd": folder, "env": environment, "text": True, "encoding": "utf-8"}
    new = subprocess.run(
        [sys.executable, "-m", "looking", "a", "b c"],
        **ways,
        input="given\n",
        capture_output=True,
        start_new_session=True,
    )
    forked = fork(server, folder, "looking", "a", "b c", env=environment)
    forked.stdin.write("given\n")
    forked.stdin.close()
    assert json.loads(forked.stdout.read()) == json.loads(new.stdout)
    assert (forked.wait(5), forked.stderr.read()) == (3, "") == (new.returncode, new.stderr)


def test_chance_and_modules_are_not_passed_on(server, folder):
    name = program(
        folder, "import random, json\nprint(random.random())\njson.hurt = random.hurt = 1"
    )
    drawn = [fork(server, folder, name) for _ in range(3)]
    assert len({each.stdout.read() for each in drawn}) == 3
    name = program(folder, "import random, json\nprint(hasattr(random, 'hurt'))")
    assert fork(server, folder, name).stdout.read() == "False\n"


@pytest.mark.parametrize(
    ("content", "code", "last"),
    [
        ("print('ends')", 0, ""),
        ("import sys; sys.exit('a reason')", 1, "a reason"),
        ("raise ValueError('no')", 1, "ValueError: no"),
        ("import os; os._exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("raise KeyboardInterrupt", -2, "KeyboardInterrupt"),
        ("import atexit, sys; atexit.register(sys.stderr.write, 'bye'); sys.exit(2)", 2, "bye"),
        ("import nowhere", 1, "ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_a_fork_ends_as_a_new_process_would(server, folder, content, code, last):
    forked = fork(server, folder, program(folder, content))
    assert forked.wait(10) == code
    said = forked.stderr.read()
    assert said.strip().rpartition("\n")[2] == last
    assert "warm.py" not in said


def test_a_fork_is_signalled_and_killed_whoever_waits(server, folder):
    forked = fork(server, folder, "sleeping")
    assert forked.stdout.readline() == f"{forked.pid}\n"
    with pytest.raises(subprocess.TimeoutExpired):
        forked.wait(0.01)
    assert forked.poll() is None
    waiting = threading.Thread(target=forked.wait)
    waiting.start()
    forked.terminate()
    waiting.join(5)
    assert forked.returncode == -signal.SIGTERM
    forked.kill()  # harmless


def test_what_a_fork_has_started_ends_with_it(server, folder):
    start = "import subprocess, sys\nprint(subprocess.Popen([sys.executable, 'sleeping.py']).pid)"
    forked = fork(server, folder, program(folder, start))
    assert forked.wait(10) == 0
    assert is_gone(int(forked.stdout.readline()))


def test_a_fork_ends_with_its_asker(server, folder):
    ask = "from sqm import warm; import sys, time; from pathlib import Path\n"
    ask += "warm.spawn(['-m', 'sleeping'], address=sys.argv[1], cwd=Path.cwd()).wait()"
    asker = subprocess.Popen(
        [sys.executable, "-c", ask, server.address],
        cwd=folder,
        env={**os.environ, **warm.ENVIRONMENT},
        stdout=subprocess.PIPE,
        text=True,
    )
    with asker:
        pid = int(asker.stdout.readline())
        asker.kill()
    assert is_gone(pid)
    assert server.alive()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_forks_end_with_the_server_and_say_so(server, folder, how):
    forked = fork(server, folder, "sleeping")
    pid = int(forked.stdout.readline())
    os.kill(server.pid, how)
    assert is_gone(pid)
    assert is_gone(server.pid)
    assert (forked.wait(5), forked.lost) == (-signal.SIGKILL, True)
    with pytest.raises(warm.Refused, match="does not answer"):
        fork(server, folder, "sleeping")


def test_the_server_ends_with_its_starter_and_takes_all_with_it(folder):
    start = """\
import os, subprocess, sys, time
from sqm import warm
server = warm.Warm.start(["json"])
forked = warm.spawn(["-m", "sleeping"], address=server.address, stdout=subprocess.PIPE)
print(server.pid, forked.stdout.readline().strip(), server.address, flush=True)
time.sleep(60)
"""
    ways = {"cwd": folder, "env": {**os.environ, **warm.ENVIRONMENT}, "text": True}
    with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, **ways) as starter:
        server, forked, address = starter.stdout.readline().split()
        starter.kill()
    assert is_gone(int(server))
    assert is_gone(int(forked))
    assert not Path(address).parent.exists()


def test_closing_leaves_nothing(server, folder):
    forked = fork(server, folder, "sleeping")
    pid = int(forked.stdout.readline())
    before = len(list(Path("/proc/self/fd").iterdir()))
    server.close()
    server.close()
    assert not server.alive()
    assert is_gone(pid)
    assert is_gone(server.pid)
    assert not Path(server.address).parent.exists()
    assert len(list(Path("/proc/self/fd").iterdir())) < before


def test_the_folder_is_nobody_elses_and_its_sockets_have_short_names(server):
    place = Path(server.address).parent
    assert place.stat().st_mode & 0o777 == 0o700
    assert len(os.fsencode(place)) + 30 <= warm.LONGEST


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"PYTHONHASHSEED": "1"}, "PYTHONHASHSEED is not what"),
        ({"OMP_NUM_THREADS": "2"}, "OMP_NUM_THREADS is not what"),
        ({"PYTHONPATH": "/elsewhere"}, "PYTHONPATH is not what"),
        ({"LC_ALL": "tr_TR.UTF-8"}, "LC_ALL is not what"),
    ],
)
def test_what_is_read_only_once_must_be_the_same(server, folder, change, reason):
    with pytest.raises(warm.Refused, match=reason):
        fork(server, folder, "looking", env={**os.environ, **warm.ENVIRONMENT, **change})


def test_a_folder_with_a_module_of_its_own_is_refused(server, folder):
    (folder / "random.py").write_text("", encoding="utf-8")
    with pytest.raises(warm.Refused, match=r"random\.py comes before"):
        fork(server, folder, "looking")


def test_only_modules_are_forked_and_refusals_leave_no_file_open(server, folder):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for arguments in (["-c", "1"], ["program.py"], []):
        with pytest.raises(warm.Refused, match="only modules"):
            warm.spawn(
                arguments,
                address=server.address,
                cwd=folder,
                env={**os.environ, **warm.ENVIRONMENT},
                **PIPES,
            )
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_address_is_in_the_environment_for_the_block_alone(monkeypatch):
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    with warm.Warm.start(["json"]) as server:
        assert os.environ[warm.VARIABLE] == server.address
    assert warm.VARIABLE not in os.environ
    assert not server.alive()


def test_where_there_is_no_fork_it_is_said(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert "Linux only" in warm.missing()
    with pytest.raises(OSError, match="Linux only"):
        warm.Warm.start()
