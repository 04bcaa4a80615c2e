"""The notebooks run as they stand, and say about the flagship study what is stored in them."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from store_outputs import injected

from sqm.parameters import PHASES, notebook
from sqm.run import ENVIRONMENT

ROOT = Path(__file__).parent.parent


def test_each_cell_runs_and_each_stored_sentence_still_holds(tmp_path):
    """nbval over the five notebooks as the flagship study, exercises and solutions included."""
    for phase in PHASES:
        nbformat.write(injected(phase, ROOT), tmp_path / notebook(phase, root=ROOT).name)
    found = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"),
            str(tmp_path),
        ],
        cwd=tmp_path,
        env=os.environ | ENVIRONMENT | {"SQM_OUT": str(tmp_path / "out")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-6000:]
    assert "passed" in found.stdout


@pytest.mark.parametrize("folder", ["", "notebooks"])
def test_papermill_alone_will_do(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / folder)
    monkeypatch.setenv("SQM_OUT", str(tmp_path))
    source = os.path.relpath(ROOT / "notebooks" / "2-measure.ipynb")
    executed = papermill.execute_notebook(
        source, tmp_path / "x.ipynb", {"confidence": 0.9}, progress_bar=False
    )
    said = [o.get("text", "") for c in executed.cells for o in c.get("outputs", [])]
    assert any("90% interval" in text for text in said)
    assert (tmp_path / "contact-centre" / "by-hand" / "measure" / "phase.json").is_file()
