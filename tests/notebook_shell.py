"""A notebook's shell within the tests, so that its cells can be run one by one."""

import sys
from contextlib import contextmanager
from types import SimpleNamespace

import matplotlib as mpl
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@contextmanager
def notebook_shell(root):
    """One shell in a project: ``shell`` itself, ``root``, and ``patch`` for the environment.

    Whoever carries out another study resets the namespace first.
    """
    patch = pytest.MonkeyPatch()
    patch.chdir(root)
    patch.delenv("SQM_OUT", raising=False)
    patch.setenv("IPYTHONDIR", str(root / "ipython"))
    patch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell.instance(config=config)
    try:
        with mpl.rc_context({"backend": "agg"}):
            yield SimpleNamespace(shell=made, root=root, patch=patch)
    finally:
        made.restore_sys_module_state()
        InteractiveShell.clear_instance()
        patch.undo()
