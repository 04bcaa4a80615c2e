"""Can a fresh Python be had without waiting for its imports?

One process, the server, imports the stack once and then forks itself for whoever asks: each fork is
a process of its own that has everything imported and nothing else, as if it had just been started.
The server has one thread, since a fork takes only the thread that forks, and its memory is shared
with the forks until they write to it.  Nobody outlives anybody: the end of the asker is the end of
what it asked for, the end of the server is the end of all its forks, and the server ends with the
process that started it.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqm import unchanged

VARIABLE = "SQM_WARM"  # the environment variable that names the address
# One thread each: notebooks run side by side, and labels must not depend on the count of threads.
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
# Arrow brings an allocator that starts a thread when it is loaded, used or not; the debugger that
# kernels load writes on standard error that some of Python's own modules are frozen.
QUIET = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
# What a Python reads once, when it starts or imports: a fork cannot read it again.
ONCE = ("PYTHON", "LC_", "MPLCONFIG", "MATPLOTLIB", "XDG_", "LANG", "TZ", "HOME", *ENVIRONMENT)
IN_KERNELS = (
    "numpy",
    "pandas",
    "scipy.stats",
    "scipy.optimize",
    "statsmodels.api",
    "sklearn",
    "matplotlib.pyplot",
    "seaborn",
    "pingouin",
    "IPython",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "ipykernel.ipkernel",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.core.pylabtools",
    "IPython.extensions.storemagic",
    "tornado.platform.asyncio",
    "sqlite3",
    "duckdb",
    "pyarrow",
    "sqm.study",
)
IN_STUDIES = ("nbformat", "papermill", "nbclient", "sqm.execute", "sqm.report", "sqm.engine")
# A grammar that jsonschema takes a second to read; nbformat wants jsonschema, but never asks it.
UNASKED = "rfc3987_syntax"
LONGEST = 107  # bytes that the address of a socket may have
PATIENCE = 120  # seconds that an asker waits for the imports
BEAT = 0.3  # seconds between two looks at whether the starter is still there


class Refused(Exception):
    """The server cannot give this process; the message says why, and a plain one will do."""


def missing() -> str:
    """Say why there can be no warm process on this system; blank if there can.

    Examples
    --------
    >>> missing() == "" if sys.platform == "linux" else missing() != ""
    True
    """
    if sys.platform != "linux":
        return f"processes are forked on Linux only, and this is {sys.platform}"
    return ""


def die_with_parent() -> None:
    """Let the system kill this process when the thread that started it ends; Linux only."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


# --- whoever starts it --------------------------------------------------------------------------


class Warm:
    """A server that is started at once, imports in the background, and ends with the block.

    Attributes
    ----------
    address : str
        Where `spawn` asks; within ``with Warm.start():`` it is in the environment
        variable ``SQM_WARM``, where the engine of papermill looks for it.

    Examples
    --------
    >>> with Warm.start():  # doctest: +SKIP
    ...     for month in ("2025-01", "2025-02"):
    ...         papermill.execute_notebook(
    ...             "in.ipynb", f"{month}.ipynb", {"month": month}, engine_name="sqm")
    """

    def __init__(self, folder: Path, process: subprocess.Popen) -> None:
        self.address = str(folder / "warm")
        self._folder = folder
        self._process = process
        self._before: str | None = None

    @classmethod
    def start(cls, imports: Sequence[str] = ()) -> Warm:
        """Start a server and return at once; whoever asks it waits until its imports are done.

        Parameters
        ----------
        imports : sequence of str
            Modules to import; by default all that notebooks and studies use.

        Raises
        ------
        OSError
            If the system has none (see `missing`), or no folder for it.
        """
        if missing():
            raise OSError(missing())
        folder = _private_folder()
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(folder / "warm"))
                listener.listen(128)
                return cls(folder, _server(folder, listener, imports))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the server is there."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the server and all that it has forked; again is harmless."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Warm:
        self._before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = self.address
        return self

    def __exit__(
        self,
        kind: type | None,
        value: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = self._before
        self.close()


def _private_folder() -> Path:
    """A folder that nobody else can enter, with a name short enough for sockets in it."""
    for place in (tempfile.gettempdir(), "/tmp"):
        if len(os.fsencode(place)) + 50 <= LONGEST:
            return Path(tempfile.mkdtemp(prefix="sqm-", dir=place))
    raise OSError(f"the folder for temporary files has too long a name: {tempfile.gettempdir()}")


def _server(folder: Path, listener: socket.socket, imports: Sequence[str]) -> subprocess.Popen:
    environment = {**os.environ, **ENVIRONMENT, **QUIET}
    for name in ("MPLBACKEND", VARIABLE):
        environment.pop(name, None)
    return subprocess.Popen(
        [sys.executable, "-m", "sqm.warm", str(listener.fileno()), str(os.getpid()), *imports],
        stdin=subprocess.PIPE,  # its end of file is the starter's end
        stdout=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        pass_fds=[listener.fileno()],
        start_new_session=True,  # an interrupt at the terminal is the starter's to handle
    )


# --- whoever asks -------------------------------------------------------------------------------


class Forked:
    """A forked process, to be handled as a `subprocess.Popen`; it ends when nobody holds it.

    Attributes
    ----------
    pid : int
    returncode : int or None
        As `poll` last found it.
    lost : bool
        Whether it ended because the server did.
    """

    def __init__(self, pid: int, line: socket.socket, args: list[str], pipes: list) -> None:
        self.pid = pid
        self.args = args
        self.returncode: int | None = None
        self.lost = False
        self.stdin, self.stdout, self.stderr = pipes
        self._line = line
        self._said = b""
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit code, or None while it runs; minus the signal if one killed it."""
        return self._listen(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends.

        Raises
        ------
        subprocess.TimeoutExpired
            If it has not ended within ``timeout`` seconds.
        """
        code = self._listen(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to it and to what it has started, unless it has ended."""
        if self.returncode is None:
            with contextlib.suppress(OSError):
                self._line.sendall(bytes([number]))

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *reason: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()

    def _listen(self, timeout: float | None) -> int | None:
        """Hear what the server says: four bytes with the exit code, or its own end."""
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = until - time.monotonic()
            # in slices, since another thread may hear it first
            if _readable(self._line, max(0.0, min(left, BEAT))):
                with self._lock:
                    self._hear()
            elif left <= 0:
                break
        return self.returncode

    def _hear(self) -> None:
        if self.returncode is not None:
            return
        try:
            heard = self._line.recv(4 - len(self._said), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        self._said += heard
        if len(self._said) == 4:
            (self.returncode,) = struct.unpack("!i", self._said)
        elif not heard:  # the server was killed, and its forks with it
            self.lost, self.returncode = True, -signal.SIGKILL
        if self.returncode is not None:
            self._line.close()


def spawn(
    arguments: Sequence[str],
    *,
    address: str,
    env: dict[str, str] | None = None,
    cwd: str | Path | None = None,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
) -> Forked:
    """Have a process forked that does what ``python <arguments>`` would.

    Parameters
    ----------
    arguments : sequence of str
        ``["-m", "a.module", …]``.
    address : str
        Where the server listens.
    env, cwd, stdin, stdout, stderr
        As for `subprocess.Popen`; pipes carry text.

    Raises
    ------
    Refused
        If there is no server, or a fork of it would not be the same as a new process.
    """
    wish = {
        "arguments": list(arguments),
        "env": dict(os.environ if env is None else env),
        "cwd": str(Path(cwd or Path.cwd()).absolute()),
        "umask": _umask(),
    }
    streams, ours, theirs = _pipes(stdin, stdout, stderr)
    line = socket.socket(socket.AF_UNIX)
    try:
        pid = _ask(line, address, json.dumps(wish).encode(), streams)
    except BaseException:
        for mine in (line, *filter(None, ours)):
            mine.close()
        raise
    finally:
        for number in theirs:
            os.close(number)
    return Forked(pid, line, [sys.executable, *arguments], ours)


def _pipes(*wanted: Any) -> tuple[list[int], list, list[int]]:
    """For each stream what the fork gets, what the asker keeps, and what the asker then closes."""
    streams, ours, theirs = [], [], []
    for number, want in enumerate(wanted):
        kept = None
        if want == subprocess.PIPE:
            read, write = os.pipe()
            inner, outer = (read, write) if number == 0 else (write, read)
            mode = "w" if number == 0 else "r"
            kept = os.fdopen(outer, mode, encoding="utf-8", errors="replace")
            theirs.append(inner)
        elif want == subprocess.DEVNULL:
            inner = os.open(os.devnull, os.O_RDWR)
            theirs.append(inner)
        elif want == subprocess.STDOUT:
            inner = streams[1]
        else:
            inner = number if want is None else want if isinstance(want, int) else want.fileno()
        streams.append(inner)
        ours.append(kept)
    return streams, ours, theirs


def _umask() -> int:
    """The mask for new files; asking the system for it would change it for a moment."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int((status.partition("Umask:")[2].split() or ["022"])[0], 8)


def _ask(line: socket.socket, address: str, wish: bytes, streams: list[int]) -> int:
    """Ask for a process and hand back its number."""
    line.settimeout(PATIENCE)
    try:
        line.connect(address)
        socket.send_fds(line, [struct.pack("!I", len(wish))], streams)
        line.sendall(wish)
        answer = json.loads(_take(line, struct.unpack("!I", _take(line, 4))[0]))
    except (OSError, ValueError) as error:
        raise Refused(f"the warm process does not answer ({error})") from None
    if "refused" in answer:
        raise Refused(answer["refused"])
    line.settimeout(None)
    return answer["pid"]


def _take(line: socket.socket, count: int) -> bytes:
    taken = b""
    while len(taken) < count:
        more = line.recv(count - len(taken))
        if not more:
            raise ConnectionError("it has ended")
        taken += more
    return taken


def _readable(line: socket.socket, timeout: float) -> bool:
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(line, selectors.EVENT_READ)
        except (ValueError, OSError):  # closed: another thread has heard it all
            return True
        return bool(selector.select(timeout))


# --- the server ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """What a fork is to do: a module with its arguments, its environment, folder and streams."""

    arguments: list[str]
    env: dict[str, str]
    cwd: str
    umask: int
    streams: list[int]


@dataclass(frozen=True)
class Imported:
    """What the server's imports found and left behind, as far as a fork has to know."""

    env: dict[str, str]
    added: dict[str, str]
    filters: list
    path: list[str]
    starter: int
    server: int
    refusal: str


class Server:
    """Forks for whoever asks, and passes on exit codes, until its starter ends."""

    def __init__(self, listener: socket.socket, imported: Imported) -> None:
        self._listener = listener
        self._imported = imported
        self._forks: dict[socket.socket, int] = {}
        self._nobodys: list[int] = []  # killed because their askers are gone
        self._ended, self._bell = socket.socketpair()  # rung by the system at each signal
        self._selector = selectors.DefaultSelector()
        for source in (listener, self._ended, sys.stdin):
            self._selector.register(source, selectors.EVENT_READ)
        for end in (self._ended, self._bell):
            end.setblocking(False)
        self._going = True
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._stop)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)

    def serve(self) -> Request | None:
        """Serve until the starter ends (None), or be a fork and hand back what it is to do."""
        while self._going and os.getppid() == self._imported.starter:
            for key, _ in self._selector.select(BEAT):
                if key.fileobj is sys.stdin:
                    return None
                if key.fileobj is self._ended:
                    self._bury()
                elif key.fileobj in self._forks:
                    self._obey(key.fileobj)
                elif key.fileobj is self._listener and (request := self._welcome()):
                    return request
        return None

    def _stop(self, *_: object) -> None:
        self._going = False

    def end(self) -> None:
        """Kill all the forks, and see them gone."""
        for line in list(self._forks):
            self._drop(line)
        for pid in self._nobodys:
            os.waitpid(pid, 0)

    def _welcome(self) -> Request | None:
        """Take one request and fork; the fork returns with it."""
        try:
            line, _ = self._listener.accept()
        except OSError:  # too many files are open; some will be closed
            time.sleep(0.1)
            return None
        try:
            request = _receive(line)
        except (OSError, ValueError, TypeError):  # the asker is gone, or is none
            line.close()
            return None
        refused, pid = _differs(request, self._imported), -1
        try:
            if not refused:
                pid = os.fork()
        except OSError as error:
            refused = f"the system forks no more processes ({error})"
        if pid == 0:
            line.close()
            self._let_go()
            return request
        for number in request.streams:
            os.close(number)
        self._reply(line, pid, refused)
        return None

    def _reply(self, line: socket.socket, pid: int, refused: str) -> None:
        if not refused:
            self._watch(line, pid)
        with contextlib.suppress(OSError):  # the asker is gone, and its end of file will be read
            _answer(line, {"refused": refused} if refused else {"pid": pid})
        if refused:
            line.close()
        else:
            line.setblocking(False)

    def _watch(self, line: socket.socket, pid: int) -> None:
        self._forks[line] = pid
        self._selector.register(line, selectors.EVENT_READ)

    def _obey(self, line: socket.socket) -> None:
        """Send a fork the signals that its asker names; the asker's end is the fork's."""
        try:
            said = line.recv(64)
        except OSError:
            said = b""
        for number in said:
            _kill_group(self._forks[line], number)
        if not said:
            self._drop(line)

    def _drop(self, line: socket.socket) -> None:
        """Kill a fork; it is buried later, since one that hangs in the system hangs nobody else."""
        _kill_group(self._forks[line], signal.SIGKILL)
        self._nobodys.append(self._forks[line])
        self._forget(line)

    def _forget(self, line: socket.socket) -> None:
        self._selector.unregister(line)
        del self._forks[line]
        line.close()

    def _bury(self) -> None:
        """Tell the askers of forks that have ended, and end what those left in their groups."""
        with contextlib.suppress(BlockingIOError):
            self._ended.recv(4096)
        self._nobodys = [pid for pid in self._nobodys if not os.waitpid(pid, os.WNOHANG)[0]]
        for line, pid in list(self._forks.items()):
            # it is looked at before it is reaped: until then nobody else can get its number
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                _kill_group(pid, signal.SIGKILL)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError):
                    line.send(struct.pack("!i", code))
                self._forget(line)

    def _let_go(self) -> None:
        """In a fork: what is the server's is not touched any more."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for end in (self._listener, self._ended, self._bell, *self._forks):
            end.close()


def _kill_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:  # it is so young that it has no group yet
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _receive(line: socket.socket) -> Request:
    line.settimeout(5)
    head, streams, _, _ = socket.recv_fds(line, 4, 3)
    try:
        head += _take(line, 4 - len(head))
        if len(streams) != 3:
            raise ValueError("three streams are needed")
        wish = json.loads(_take(line, struct.unpack("!I", head)[0]))
        return Request(**wish, streams=streams)
    except BaseException:
        for number in streams:
            os.close(number)
        raise


def _answer(line: socket.socket, answer: dict) -> None:
    said = json.dumps(answer).encode()
    line.sendall(struct.pack("!I", len(said)) + said)


def _differs(request: Request, imported: Imported) -> str:
    """Say in what a fork would differ from a new process; blank if in nothing."""
    if imported.refusal:
        return imported.refusal
    if request.arguments[:1] != ["-m"]:
        return "only modules are run by a fork"
    for name in sorted(request.env.keys() | imported.env.keys()):
        once = name.startswith(ONCE) and not (name in ENVIRONMENT and name not in request.env)
        if once and request.env.get(name) != imported.env.get(name):
            return f"{name} is not what the warm process was started with"
    try:
        return _shadowed(Path(request.cwd))
    except OSError as error:
        return f"{request.cwd} cannot be read ({error})"


def _shadowed(folder: Path) -> str:
    """Say which file in a folder a new process would read in place of what is imported."""
    there = {path.name for path in folder.iterdir()} & {
        "matplotlibrc",
        *(each for name in sys.modules if "." not in name for each in (name, f"{name}.py")),
    }
    for name in sorted(there):
        path = folder / name
        module = getattr(sys.modules.get(path.stem), "__file__", None)
        source = path / "__init__.py" if path.is_dir() else path
        if source.is_file() and not (module and source.samefile(module)):
            return f"{path} comes before what the warm process has imported"
    return ""


def _import_all(starter: int, names: Sequence[str]) -> Imported:
    """Import what notebooks and studies use, or what was asked for, alone in this process."""
    env = dict(os.environ)
    path = sys.path[0 if sys.flags.safe_path else 1 :]  # without the server's own folder
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # the parent of a kernel, which it watches
    # before the imports, or a fork could take what was edited or installed since for what it runs
    unchanged.of_source()
    unchanged.of_versions()
    done = threading.Event()
    watch = threading.Thread(target=_end_with, args=(starter, done), name="watch")
    watch.start()
    gc.disable()  # nothing of it is garbage
    show, warnings.showwarning = warnings.showwarning, lambda *_, **__: None
    if not names:
        _import_as_in_a_kernel("pandas")
    for name in names or (*IN_KERNELS, *_methods()):
        _import(name)
    filters = list(warnings.filters)
    sys.modules[UNASKED] = None
    for name in () if names else IN_STUDIES:
        _import(name)
    del sys.modules[UNASKED]
    warnings.showwarning = show
    gc.enable()
    gc.freeze()
    done.set()
    watch.join()
    added = {name: value for name, value in os.environ.items() if name not in env}
    del added["JPY_PARENT_PID"]
    return Imported(env, added, filters, path, starter, os.getpid(), _crowd())


def _crowd() -> str:
    """Say how many threads there are if there are several; one that has ended lingers a little."""
    for _ in range(100):
        count = len(list(Path("/proc/self/task").iterdir()))
        if count == 1:
            return ""
        time.sleep(0.01)
    return f"the warm process runs {count} threads"


def _end_with(starter: int, done: threading.Event) -> None:
    """While imports go on nobody listens, so somebody watches."""
    while not done.wait(BEAT):
        if os.getppid() != starter:
            shutil.rmtree(Path.cwd(), ignore_errors=True)
            os._exit(1)


def _import(name: str) -> None:
    """Import a module; without one that cannot be imported it goes on without it."""
    with contextlib.suppress(Exception):
        importlib.import_module(name)


def _import_as_in_a_kernel(name: str) -> None:
    """Import a module that asks whether there is a kernel: pandas, for its display options."""
    builtins.get_ipython = lambda: types.SimpleNamespace(kernel=None)
    try:
        _import(name)
    finally:
        del builtins.get_ipython


def _methods() -> list[str]:
    rooms = Path(__file__).parent / "methods"
    return [f"sqm.methods.{room.name}" for room in pkgutil.iter_modules([str(rooms)])]


# --- a fork -------------------------------------------------------------------------------------


def _become(request: Request, imported: Imported) -> int:
    """Be the process that was asked for, to its end; hand back its exit code."""
    _stand_alone(imported)
    _take_streams(request.streams)
    os.environ.clear()
    os.environ.update({**imported.added, **request.env})
    time.tzset()
    os.umask(request.umask)
    os.chdir(request.cwd)
    _, module, *arguments = request.arguments
    sys.argv[:] = [module, *arguments]
    sys.orig_argv[:] = [sys.executable, *request.arguments]
    sys.path[:] = [*([] if sys.flags.safe_path else [request.cwd]), *imported.path]
    tempfile.tempdir = None
    _draw_anew()
    _choose_backend(module)
    if module == "ipykernel_launcher":
        warnings.filters[:] = imported.filters
        for name in [name for name in sys.modules if name.split(".")[0] == "jsonschema"]:
            del sys.modules[name]  # whoever wants it there gets it with its grammar
        _prepare_shell()
    return _run(module)


def _stand_alone(imported: Imported) -> None:
    """Own session, default signals, and the server's end is this one's."""
    os.setsid()
    die_with_parent()
    if os.getppid() != imported.server:  # it was dead before that could be heard of
        os._exit(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def _take_streams(streams: list[int]) -> None:
    for number, given in enumerate(streams):
        os.dup2(given, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2:
            with contextlib.suppress(OSError):  # that of the list itself
                os.close(int(name))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        new = os.fdopen(
            number,
            "r" if number == 0 else "w",
            encoding=old.encoding,
            errors=old.errors,
            closefd=False,
        )
        if number:
            line_buffering = number == 2 or os.isatty(number)
            new.reconfigure(line_buffering=line_buffering, write_through=old.write_through)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def _draw_anew() -> None:
    """Chance is not inherited."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()


def _choose_backend(module: str) -> None:
    """Where pictures go is read when matplotlib is imported; a kernel says so just before."""
    inline = "module://matplotlib_inline.backend_inline" if module == "ipykernel_launcher" else ""
    backend = os.environ.get("MPLBACKEND") or inline
    if backend and (matplotlib := sys.modules.get("matplotlib")):
        matplotlib.rcParams["backend"] = backend


def _prepare_shell() -> None:
    """What ipywidgets does when a kernel imports it is done as soon as there is a shell."""
    from ipykernel.kernelapp import IPKernelApp

    plain = IPKernelApp.init_shell

    def init_shell(app: Any) -> None:
        plain(app)
        if ipywidgets := sys.modules.get("ipywidgets"):
            ipywidgets.register_comm_target()

    IPKernelApp.init_shell = init_shell


def _run(module: str) -> int:
    """Run a module as the program, and say how it ended as the interpreter would."""
    package, _, name = module.rpartition(".")
    if sys.modules.pop(module, None) and package:
        delattr(sys.modules[package], name)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        sys.stderr.write(f"{left.code}\n")
        return 1
    except BaseException as error:
        trace = error.__traceback__.tb_next  # without this function
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _leave(ends: list[int]) -> None:
    """Leave without taking the imports down, which would copy all that is shared."""
    for code in ends:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        if code < 0:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code & 0xFF)


def main() -> None:
    """Serve on the socket that the starter has opened."""
    ends: list[int] = []
    atexit.register(_leave, ends)  # the first to be registered is the last to be called
    listener, starter = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    folder = Path.cwd()
    imported = _import_all(starter, sys.argv[3:])
    server = Server(listener, imported)
    request = server.serve()
    if request:
        ends.append(_become(request, imported))
        return
    server.end()
    shutil.rmtree(folder, ignore_errors=True)
    ends.append(0)


if __name__ == "__main__":
    main()
