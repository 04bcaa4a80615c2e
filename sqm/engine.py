"""How does papermill carry out a notebook without waiting for a kernel's imports?

This is papermill's own engine with three things changed: kernels are forked from the warm process
whose address is in ``SQM_WARM``; cells and notebooks have time limits; and a kernel that dies is an
exception, where papermill would save the notebook as completed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import nbformat
import zmq
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import LocalProvisioner
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.iorw import write_ipynb
from papermill.log import logger

from sqm import warm

LATE = 60  # seconds that outputs may lag behind the end of their cell on a busy machine
MEANS = {signal.SIGTERM: "it was asked to end", signal.SIGINT: "it was interrupted"}
if sys.platform != "win32":
    MEANS[signal.SIGKILL] = "memory?"
    MEANS[signal.SIGSEGV] = "a fault in compiled code"


class Died(Exception):
    """The kernel ended before its notebook did; the message says how, and in which cell."""


class TooLong(Exception):
    """A cell, or the notebook, took longer than it was allowed."""


class WarmEngine(NBClientEngine):
    """Papermill's engine with forked kernels, time limits, and deaths that are told.

    It is chosen by ``papermill.execute_notebook(…, engine_name="sqm")`` or, on the
    command line, ``papermill --engine sqm``; what papermill's own engine takes it
    takes too.  The executed notebook says in ``metadata["sqm"]["kernel"]`` whether
    its kernel was ``warm``, or ``plain`` and why.
    """

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        log_output: bool = False,
        start_timeout: float = 60,
        cell_limit: float | None = None,
        notebook_limit: float | None = None,
        **options: Any,
    ) -> None:
        """Carry out a notebook that papermill has opened.

        Parameters
        ----------
        nb_man : papermill.engines.NotebookExecutionManager
        kernel_name : str
        log_output : bool
        start_timeout : float
            Seconds that a kernel may take to answer.
        cell_limit, notebook_limit : float, optional
            Seconds that a cell, and all cells together, may take.
        **options
            As for papermill's own engine.

        Raises
        ------
        Died
            If the kernel ended before the notebook did.
        TooLong
            If a limit was passed.
        """
        theirs = [options.pop(name, None) for name in ("execution_timeout", "timeout")]
        options.pop("input_path", None)
        client = _Client(
            nb_man,
            kernel_name=kernel_name,
            log=logger,
            log_output=log_output,
            startup_timeout=start_timeout,
            shutdown_kernel="immediate",
            iopub_timeout=LATE,
            **options,
        )
        client.limit(next(filter(None, (cell_limit, *theirs)), None), notebook_limit)
        try:
            client.execute()
        except (Died, TooLong):
            _save(nb_man)
            raise


def _save(nb_man: NotebookExecutionManager) -> None:
    """Save a notebook that papermill, which was not to save it after each cell, would not save."""
    path = nb_man.nb.metadata.get("papermill", {}).get("output_path")
    if path and not nb_man.output_path:
        write_ipynb(nb_man.nb, path)


class _Client(PapermillNotebookClient):
    """Papermill's client of a kernel, with limits, and with a reason when it fails."""

    _limits: tuple[float | None, float | None] = (None, None)
    _began = 0.0
    _last = False  # whether the cell has what is left for the notebook

    def limit(self, cell: float | None, notebook: float | None) -> None:
        """Set how many seconds a cell and all cells may take; none is no limit."""
        self._limits = (cell, notebook)
        self.timeout_func = self._limit

    def create_kernel_manager(self) -> KernelManager:
        self.km = super().create_kernel_manager()
        self.km.provisioner = _Provisioner(kernel_spec=self.km.kernel_spec, parent=self.km)
        self.km.provisioner.settle()
        self.km.client_factory = _KernelClient
        self.km.context.setsockopt(zmq.RECONNECT_IVL, 5)  # milliseconds; a kernel is there soon
        return self.km

    def start_new_kernel_client(self, **options: Any) -> Any:
        self.nb.metadata["sqm"] = {"kernel": self.km.provisioner.kind}
        try:
            return super().start_new_kernel_client(**options)
        except RuntimeError as error:  # nbclient has no other for it
            raise self._failed(Died(f"the kernel did not start: {error}"), 0) from error

    def papermill_execute_cells(self) -> None:
        self._began = time.monotonic()
        super().papermill_execute_cells()

    def execute(self, **options: Any) -> nbformat.NotebookNode:
        try:
            return super().execute(**options)
        except DeadKernelError:
            reason = Died("the kernel ended after the last cell")
            raise self._failed(reason, len(self.nb.cells) - 1) from None

    def execute_cell(self, cell: nbformat.NotebookNode, index: int, **options: Any) -> Any:
        try:
            return super().execute_cell(cell, index, **options)
        except DeadKernelError:
            reason = Died(f"the kernel {self._end()} in cell {self.code_cells_executed}")
        except CellTimeoutError as error:
            reason = TooLong(self._excess(error))
        raise self._failed(reason, index)

    def _limit(self, _: nbformat.NotebookNode) -> float | None:
        """How many seconds the next cell may take: its own limit, or what is left for all."""
        cell, notebook = self._limits
        left = notebook and max(0.001, self._began + notebook - time.monotonic())
        self._last = bool(left) and (not cell or left < cell)
        return left if self._last else cell

    def _excess(self, error: CellTimeoutError) -> str:
        where = f"cell {self.code_cells_executed}"
        if "IOPub" in str(error):
            return f"the outputs of {where} were not there {LATE} s after its end"
        if self._last:
            return f"the notebook took longer than {self._limits[1]:g} s, and had come to {where}"
        return f"{where} took longer than {self._limits[0]:g} s"

    def _end(self) -> str:
        """How the kernel's process ended, in words."""
        process = self.km.provisioner.process
        code = process.poll() if process else None
        if code is None or getattr(process, "lost", False):
            return "was lost with the warm process"
        if code >= 0:
            return f"ended with code {code}"
        means = f" ({MEANS[-code]})" if -code in MEANS else ""
        return f"was killed by signal {-code}{means}"

    def _failed(self, reason: Exception, index: int) -> Exception:
        """Show the reason as the cell's error, as that of a cell that fails by itself is shown."""
        cell = self.nb.cells[index]
        shown = nbformat.v4.new_output(
            "error", ename=type(reason).__name__, evalue=str(reason), traceback=[str(reason)]
        )
        if cell.cell_type == "code":
            cell.outputs.append(shown)
        self.nb_man.cell_exception(cell, cell_index=index, exception=reason)
        return reason


class _KernelClient(AsyncKernelClient):
    """Does not wait for silence, as the clients of a shared kernel must: nobody has spoken yet."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        until = time.monotonic() + (timeout or float("inf"))
        while time.monotonic() < until:
            self.kernel_info()
            with contextlib.suppress(queue.Empty):
                reply = await self.shell_channel.get_msg(timeout=1)
                await self.iopub_channel.get_msg(timeout=0.2)  # or else it is not connected yet
                if reply["msg_type"] == "kernel_info_reply":
                    self._handle_kernel_info_reply(reply)
                    return
            if not await self._async_is_alive():
                raise RuntimeError("it ended before it answered")
        raise RuntimeError(f"it did not answer within {timeout:g} s")


class _Provisioner(LocalProvisioner):
    """Gets a kernel from the warm process if it can be the same as a new one, else as usual."""

    kind = "warm"

    def settle(self) -> None:
        """Decide before the launch, since the address of a kernel depends on it."""
        self._address = os.environ.get(warm.VARIABLE, "")
        reason = self._reason()
        if reason:
            self.kind = f"plain: {reason}"
            return
        # files in the warm process's folder: nobody else can enter it, no ports are searched for
        # that another may take meanwhile, and it is removed whatever happens to us
        self.parent.transport = "ipc"
        self.parent.connection_file = str(
            Path(self._address).parent / f"{uuid.uuid4().hex[:12]}.json"
        )

    def _reason(self) -> str:
        if warm.missing():
            return warm.missing()
        if not self._address:
            return f"{warm.VARIABLE} names no warm process"
        if not Path(self._address).is_socket():
            return "the warm process has ended"
        command = self.parent.format_kernel_cmd()
        if command[:3] != [sys.executable, "-m", "ipykernel_launcher"]:
            return f"the notebook asks for the kernel {self.parent.kernel_name}"
        if self.kernel_spec.metadata.get("kernel_provisioner"):
            return f"the kernel {self.parent.kernel_name} is provided by another"
        return ""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> dict[str, Any]:
        if self.kind == "warm":
            try:
                self.process = warm.spawn(
                    cmd[1:],
                    address=self._address,
                    env={**options["env"], **warm.ENVIRONMENT, "JPY_PARENT_PID": str(os.getpid())},
                    cwd=options.get("cwd"),
                    stdin=subprocess.DEVNULL,
                )
            except warm.Refused as reason:
                self.kind = f"plain: {reason}"
            else:
                self.pid, self.cwd = self.process.pid, options.get("cwd") or Path.cwd()
                return self.connection_info
        return await super().launch_kernel(cmd, **options)

    async def kill(self, restart: bool = False) -> None:
        await super().kill(restart)
        if self.process:  # or else a tenth of a second is slept through before it is looked for
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=5)
