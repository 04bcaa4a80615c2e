"""Run the notebooks and store the outputs that a reader on the web needs: `make notebooks`.

Kept are the outputs of the cells tagged ``nbval-check-output`` (sentences, which nbval compares)
and ``picture``; every other cell is stored bare.
"""

import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from sqm.parameters import PHASES, find_root, notebook

KEPT = {"nbval-check-output", "picture"}


def main():
    root = find_root()
    with tempfile.TemporaryDirectory() as out:
        os.environ["SQM_OUT"] = out
        for phase in PHASES:
            path = notebook(phase, root=root)
            print(path.name, flush=True)
            store(path)


def store(path: Path):
    executed = nbformat.read(path, as_version=4)
    client = NotebookClient(executed, resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    for cell in executed.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            wanted = KEPT & set(cell.metadata.get("tags", []))
            cell.outputs = [_plain(output) for output in cell.outputs] if wanted else []
    executed.metadata.language_info = {"name": "python"}
    nbformat.write(executed, path)


def _plain(output):
    if "execution_count" in output:
        output["execution_count"] = None
    return output


if __name__ == "__main__":
    main()
