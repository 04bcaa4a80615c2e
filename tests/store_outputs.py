"""Run the notebooks as the flagship study and store what a reader needs: `make notebooks`.

Kept are the outputs of the cells tagged ``nbval-check-output`` (sentences, which nbval compares)
and ``picture``; every other cell is stored bare.  The parameters stay at their neutral defaults in
the stored notebook: the study's own are injected into the copy that is run.
"""

import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from sqm.parameters import load
from sqm.places import DEFAULT_STUDY, PHASES, find_root, notebook
from sqm.warm import ENVIRONMENT

KEPT = {"nbval-check-output", "picture"}


def main():
    os.environ |= ENVIRONMENT
    root = find_root()
    with tempfile.TemporaryDirectory() as out:
        os.environ["SQM_OUT"] = out
        for phase in PHASES:
            print(phase, flush=True)
            store(phase, root)


def injected(phase: str, root: Path) -> nbformat.NotebookNode:
    """A phase's notebook with the flagship study's parameters, its stored outputs with it."""
    plain = load_notebook_node(str(notebook(phase, root=root)))
    return parameterize_notebook(plain, load(DEFAULT_STUDY, root=root).sections[phase])


def store(phase: str, root: Path):
    path = notebook(phase, root=root)
    executed = injected(phase, root)
    NotebookClient(executed, resources={"metadata": {"path": str(path.parent)}}).execute()
    ran = {cell.id: cell for cell in executed.cells if cell.cell_type == "code"}
    stored = nbformat.read(path, as_version=4)
    for cell in stored.cells:
        if cell.cell_type == "code":
            kept = bool(KEPT & set(cell.metadata.get("tags", [])))
            cell.outputs = [_bare(output) for output in ran[cell.id].outputs] if kept else []
            # nbval takes outputs without a number for those of a cell that never ran
            cell.execution_count = ran[cell.id].execution_count if kept else None
    nbformat.write(stored, path)


def _bare(output):
    if "execution_count" in output:
        output["execution_count"] = None
    return output


if __name__ == "__main__":
    main()
