"""A warm kernel shows what a new one shows, keeps nothing from the last, and says how it died."""

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError
from test_warm import is_gone

from sqm import warm
from sqm.engine import Died, TooLong

pytestmark = pytest.mark.skipif(bool(warm.missing()), reason="kernels are forked on Linux only")
# What a study shows: tables, pictures of three libraries, prints, warnings, options, parameters.
SHOWN = [
    "import numpy as np\nimport pandas as pd\nimport warnings",
    "table = pd.DataFrame({'wait_s': np.arange(80) / 7, 'site': list('abcd') * 20})\ntable",
    "print(table, level, words, {'b', 'a', 'c'})\ntable.describe().T",
    "[pd.get_option(f'display.{name}') for name in ('max_rows', 'width', 'max_columns')]",
    "warnings.warn('mind the gap')\npd.Series([1, 2]).astype('datetime64[ns]')",
    "import matplotlib.pyplot as plt\nplt.get_backend(), plt.isinteractive(), plt.get_fignums()",
    "ax = table.plot()\nax.set_title('Waits')",
    "fig, (left, right) = plt.subplots(1, 2, layout='constrained')\nleft.plot([1, 3]);",
    "import seaborn as sns\nsns.histplot(table, x='wait_s', hue='site')\nplt.show()\nprint('so')",
    "%matplotlib inline\nplt.bar(['x', 'y'], [1, 2])",
    "import os, sys, threading\nsys.argv[0], __name__, os.getcwd(), threading.active_count()",
    "%config InlineBackend.figure_formats = ['svg']\nlen(get_ipython().events.callbacks)",
    "from sklearn.cluster import KMeans\nKMeans(2, random_state=1).fit(table[['wait_s']])",
    "import pingouin\npingouin.ttest(table['wait_s'], 5).round(3)",
    "from IPython.display import display, Markdown\ndisplay(Markdown('**so**'), table.head(2))",
    "import logging; logging.warning('a word'); print('to the side', file=sys.stderr)",
]
# What could pass from one notebook to the next.
HURT = """\
import builtins, json, os, random, sys, threading, time, warnings
import matplotlib.pyplot as plt, numpy as np, pandas as pd, sqm.study
left_behind = builtins.left_behind = json.left_behind = sqm.study.left_behind = 1
random.seed(1); np.random.seed(1); np.seterr(all='raise'); np.set_printoptions(precision=2)
os.environ['LEFT_BEHIND'] = '1'; os.chdir('/'); os.umask(0o077); sys.path.append('/left-behind')
plt.rcParams['font.size'] = 30; plt.figure(num='left behind'); plt.style.use('ggplot')
pd.set_option('display.max_rows', 3); pd.DataFrame.left_behind = 1
pd.Series.mean = lambda *_: 'hurt'; sys.modules['left_behind'] = json
threading.Thread(target=time.sleep, args=(60,), name='left behind', daemon=True).start()
opened = open('/dev/null'); warnings.simplefilter('error'); sys.setrecursionlimit(500)
get_ipython().InteractiveTB.set_mode('Minimal')"""
LOOK = """\
import builtins, gc, json, os, random, sys, threading, warnings
import matplotlib.pyplot as plt, numpy as np, pandas as pd, sqm.study
print(json.dumps([
    [hasattr(each, 'left_behind') for each in (builtins, json, sqm.study, pd.DataFrame)],
    sorted(name for name in globals() if not name.startswith('_')), sorted(os.environ.items()),
    os.getcwd(), os.umask(0o022), sys.path, 'left_behind' in sys.modules, sys.getrecursionlimit(),
    sorted((k, str(v)) for k, v in plt.rcParams.items()), plt.get_fignums(), str(np.geterr()),
    np.get_printoptions()['precision'], pd.get_option('display.max_rows'), pd.Series([1]).mean(),
    sorted(thread.name for thread in threading.enumerate()), str(warnings.filters),
    sum('null' in os.readlink(f'/proc/self/fd/{n}') for n in range(3, 99)
        if os.path.islink(f'/proc/self/fd/{n}')), get_ipython().InteractiveTB.mode,
]))"""
DRAW = "import random, numpy as np\nprint(random.random(), np.random.random(), id(np) and 1)"


@pytest.fixture(scope="module")
def server():
    with warm.Warm.start() as server:
        yield server


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Plain kernels start as warm ones do."""
    for name, value in warm.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(warm.VARIABLE, raising=False)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run cells with the engine; by default without a warm process."""

    def run(*cells, server=None, kernel="python3", **options):
        if server:
            monkeypatch.setenv(warm.VARIABLE, server.address)
        else:
            monkeypatch.delenv(warm.VARIABLE, raising=False)
        _write(tmp_path / "in.ipynb", cells, kernel)
        return papermill.execute_notebook(
            tmp_path / "in.ipynb",
            tmp_path / "out.ipynb",
            engine_name="sqm",
            progress_bar=False,
            request_save_on_cell_execute=False,
            **options,
        )

    return run


def _write(path, cells, kernel="python3"):
    made = [nbformat.v4.new_code_cell(source) for source in ("level = 0.9; words = 'none'", *cells)]
    made[0].metadata.tags = ["parameters"]
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec}), path)


def _printed(notebook):
    return "".join(o.text for o in notebook.cells[-1].outputs if o.output_type == "stream")


def _kind(notebook):
    return notebook.metadata["sqm"]["kernel"]


def test_warm_and_plain_show_the_same_cell_by_cell(run, server):
    cells = SHOWN
    ways = {"parameters": {"level": 0.8, "words": "‘so’ \\ {x}"}}
    new, forked = run(*cells, **ways), run(*cells, **ways, server=server)
    assert _kind(forked) == "warm"
    assert _kind(new) == f"plain: {warm.VARIABLE} names no warm process"
    for one, other in zip(new.cells, forked.cells, strict=True):
        assert _shown(one) == _shown(other), one.source
    shown = json.dumps(forked.cells)
    assert shown.count("image/png") == 4
    assert "0.8 ‘so’" in forked.cells[4].outputs[0].text
    assert forked.metadata.language_info == new.metadata.language_info


def test_nothing_passes_from_one_notebook_to_the_next(run, server):
    fresh = json.loads(_printed(run(LOOK, server=server)))
    hurt = json.loads(_printed(run(f"{HURT}\n{LOOK}", server=server)))
    after = json.loads(_printed(run(LOOK, server=server)))
    assert after == fresh
    assert [here != there for here, there in zip(hurt, fresh, strict=True)] == [True] * len(fresh)


def test_chance_is_drawn_anew_in_each_kernel(run, server):
    assert len({_printed(run(DRAW, server=server)) for _ in range(2)}) == 2


def test_a_kernel_works_where_it_is_told_to_with_the_environment_of_now(
    run, server, tmp_path, monkeypatch
):
    monkeypatch.setenv("OF_NOW", "1")
    (tmp_path / "beside.py").write_text("name = 'of its folder'", encoding="utf-8")
    cell = "import beside, os; print(beside.name, os.environ['OF_NOW'], os.getcwd())"
    made = run(cell, server=server, resources={"metadata": {"path": str(tmp_path)}})
    assert _printed(made) == f"of its folder 1 {tmp_path}\n"


# --- what cannot be warm runs all the same, and says so -----------------------------------------


def test_another_kernel_is_a_plain_one(run, server, tmp_path, monkeypatch):
    place = tmp_path / "kernels" / "other"
    place.mkdir(parents=True)
    command = [sys.executable, "-q", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "other", "language": "python"}
    (place / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    made = run("print('ran')", kernel="other", server=server)
    assert _printed(made) == "ran\n"
    assert _kind(made) == "plain: the notebook asks for the kernel other"


@pytest.mark.parametrize("how", ["killed", "refuses"])
def test_without_its_server_a_notebook_runs_plainly(run, how, monkeypatch):
    with warm.Warm.start(["json"]) as ended:
        if how == "killed":
            os.kill(ended.pid, signal.SIGKILL)
        else:
            monkeypatch.setenv("LC_PAPER", "C")
        made = run("print('ran')", server=ended)
    assert _printed(made) == "ran\n"
    expected = "the warm process does not answer" if how == "killed" else "LC_PAPER is not what"
    assert _kind(made).startswith(f"plain: {expected}")


# --- ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "death", "reason"),
    [
        ("warm", "os._exit(0)", "the kernel ended with code 0 in cell 3"),
        ("plain", "os.kill(0, 9)", "the kernel was killed by signal 9 (memory?) in cell 3"),
    ],
)
def test_a_dead_kernel_is_a_reason_and_a_failed_cell(run, server, tmp_path, how, death, reason):
    with pytest.raises(Died) as said:
        run("import os", death, "print('never')", server=server if how == "warm" else None)
    assert str(said.value) == reason
    _failed_at(tmp_path / "out.ipynb", 2, reason)


def _failed_at(path, index, reason):
    saved = nbformat.read(path, as_version=4)
    assert saved.cells[index].outputs[-1].evalue == reason
    states = [cell.metadata.papermill.status for cell in saved.cells]
    assert states == ["completed"] * index + ["failed"] + ["pending"] * (len(states) - index - 1)
    assert saved.metadata.papermill.exception is True


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"cell_limit": 0.5}, "cell 3 took longer than 0.5 s"),
        ({"execution_timeout": 0.5}, "cell 3 took longer than 0.5 s"),
        (
            {"cell_limit": 9, "notebook_limit": 0.7},
            "the notebook took longer than 0.7 s, and had come to cell 3",
        ),
    ],
)
def test_limits_are_kept_and_leave_no_kernel(run, server, tmp_path, limit, reason):
    show = "import os, pathlib, signal; pathlib.Path('pid').write_text(str(os.getpid()))"
    deaf = "signal.signal(signal.SIGINT, signal.SIG_IGN); __import__('time').sleep(60)"
    with pytest.raises(TooLong) as said:
        run(show, deaf, "1", server=server, resources=_at(tmp_path), **limit)
    assert str(said.value) == reason
    assert is_gone(int((tmp_path / "pid").read_text(encoding="utf-8")))
    _failed_at(tmp_path / "out.ipynb", 2, reason)


def _at(folder):
    return {"metadata": {"path": str(folder)}}


def test_an_error_in_a_cell_is_papermills_own(run, server):
    with pytest.raises(PapermillExecutionError, match="ValueError: so"):
        run("raise ValueError('so')", server=server)
    assert _printed(run("print('the next')", server=server)) == "the next\n"


def test_an_interrupt_of_the_driver_leaves_no_kernel(run, server, tmp_path):
    show = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid()))"
    driver = threading.main_thread().ident
    threading.Thread(target=_interrupt, args=(tmp_path / "pid", driver), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run(show, "time.sleep(60)", server=server, resources=_at(tmp_path))
    assert is_gone(int((tmp_path / "pid").read_text(encoding="utf-8")))


def _interrupt(shown, driver):
    while not (shown.exists() and shown.read_text(encoding="utf-8")):
        time.sleep(0.05)
    time.sleep(0.3)
    signal.pthread_kill(driver, signal.SIGINT)


def test_a_kernel_lost_with_the_server_says_so(run):
    lost = pytest.raises(Died, match="was lost with the warm process in cell 2")
    with warm.Warm.start(["ipykernel.kernelapp"]) as server, lost:
        run(f"import os, time; os.kill({server.pid}, 9); time.sleep(60)", server=server)


def test_runs_leave_no_file_open_and_no_process(run, server):
    run("1", server=server)
    before = _open()
    for _ in range(2):
        run("1", server=server)
    assert _open() <= before
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="utf-8")
    assert all(is_gone(int(pid)) for pid in children.split())
    assert [path.name for path in Path(server.address).parent.iterdir()] == ["warm"]


def _open():
    return len(list(Path("/proc/self/fd").iterdir()))


def _shown(cell):
    """A cell as a reader sees it: prints may come in pieces, and warnings name their process."""
    outputs = []
    for output in cell.outputs:
        if outputs and "name" in output and outputs[-1].get("name") == output.name:
            outputs[-1]["text"] += output.text
        else:
            outputs.append(dict(output))
    text = json.dumps([cell.source, cell.execution_count, outputs], sort_keys=True)
    return re.sub(r"ipykernel_\d+", "ipykernel", text)
