"""What a hostile name would have to become in a study's files to do harm."""

import base64
import csv
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import unicodedata
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from xml.dom import minidom

import pytest

NUMBER = r"-(inf|[\d.]+(e[-+]?\d+)?)"
SIGNS = "=+-@＝＋－＠"


def formulas_in(path):
    """Cells of a CSV file that a spreadsheet would run; negative numbers are none."""
    with path.open(encoding="utf-8", newline="") as file:
        return formulas_of(file.read())


def formulas_of(text):
    """Cells that begin with a formula once what is not seen before it is left out.

    A spreadsheet that is set to another language parts the same file at semicolons or tabs.
    """
    limit = csv.field_size_limit(20_000_000)
    try:
        tables = [csv.reader(io.StringIO(text, newline=""), delimiter=apart) for apart in ",;\t"]
        return [cell for table in tables for row in table for cell in row if _runs(cell)]
    finally:
        csv.field_size_limit(limit)


def _runs(cell):
    """Whether a cell is a formula; where cells are parted otherwise, a number may go before one."""
    number = re.fullmatch(rf"{NUMBER}(,.*)?", cell, flags=re.DOTALL)
    return not number and (cell.startswith(("\t", "\r")) or _seen(cell).startswith(tuple(SIGNS)))


def _seen(cell):
    """A cell from its first sign that is seen; a quotation mark may have been taken for ours."""
    for place, letter in enumerate(cell):
        if letter not in '"' and unicodedata.category(letter) not in ("Cc", "Cf", "Zs", "Zl", "Zp"):
            return cell[place:]
    return ""


def intruders_in(path):
    """Scripts and foreign images of an SVG file, which has to be sound XML."""
    page = minidom.parse(str(path))
    return [*page.getElementsByTagName("script"), *page.getElementsByTagName("img")]


# --- a page in a browser --------------------------------------------------------------------------

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ALONE = ["headless=new", "no-sandbox", "disable-gpu", "no-first-run", "no-proxy-server"]
ALONE += ["disable-sync", "disable-background-networking", "disable-component-update"]
ALONE += ["disable-default-apps", "disable-dev-shm-usage", "remote-debugging-port=0"]
PATIENCE = 60  # seconds in which a page has to stand, on a machine that is busy
SEEN = """(() => {
  for (const each of document.querySelectorAll('details')) each.open = true;
  const all = [...document.querySelectorAll('*')];
  const of = tag => document.getElementsByTagName(tag).length;
  const live = all.flatMap(each => [...each.attributes])
    .map(each => [each.name, each.value.trim().toLowerCase()])
    .filter(([name, value]) => /^on/.test(name) || /^(javascript|vbscript|data:text)/.test(value));
  const out = [...document.querySelectorAll('td, th')].filter(cell => {
    const range = document.createRange(); range.selectNodeContents(cell);
    const [inner, outer] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
    return inner.width && (inner.left < outer.left - 1 || inner.right > outer.right + 1
                           || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1);
  });
  return JSON.stringify({title: document.title, live, h1: of('h1'), h2: of('h2'), h3: of('h3'),
    tables: of('table'), rows: of('tr'), cells: of('td') + of('th'), scripts: of('script'),
    images: [...document.images].filter(each => !each.naturalWidth).length,
    outside: out.map(cell => cell.textContent.slice(0, 80)),
    wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    frames: [...document.querySelectorAll('iframe')].map(f => { try {
      return f.contentDocument.title } catch (e) { return '' } })});
})()"""


@contextmanager
def opened_in_a_browser(folder):
    """A headless Chromium in which every name leads to one server here, which notes who asks.

    ``see(file)`` opens a page and hands back what stands on it (``title``, counts of elements,
    what lies ``outside`` its cell), what the browser had to say (``told``) and which addresses
    were ``asked`` for.  Skipped where there is no such browser.
    """
    websocket = pytest.importorskip("websocket")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser on the path: {', '.join(NAMES)}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Listener)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = [f"--{option}" for option in ALONE]
    leads = f"--host-resolver-rules=MAP * 127.0.0.1:{server.server_port}, EXCLUDE 127.0.0.1"
    process = subprocess.Popen(
        [program, *options, leads, f"--user-data-dir={folder / 'browser'}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        address = next(line.split()[-1] for line in process.stderr if "DevTools listening" in line)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        wire = websocket.create_connection(address, timeout=PATIENCE, suppress_origin=True)
        yield _Browser(wire, server)
        wire.close()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        server.shutdown()
        server.server_close()


class _Listener(BaseHTTPRequestHandler):
    """Notes who asks for what; whatever is fetched as a script would run."""

    def do_GET(self):
        self.server.asked.append(f"{self.headers.get('Host')}{self.path}")
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript")
        self.end_headers()
        self.wfile.write(b"document.title=6*7")

    do_POST = do_GET

    def log_message(self, *_):
        pass


class _Browser:
    def __init__(self, wire, server):
        self._wire, self._server, self._count, self._events = wire, server, itertools.count(1), []

    def _say(self, method, session=None, **given):
        number = next(self._count)
        said = {"id": number, "method": method, "params": given}
        self._wire.send(json.dumps(said | ({"sessionId": session} if session else {})))
        while True:
            heard = json.loads(self._wire.recv())
            if heard.get("id") == number:
                assert "error" not in heard, heard
                return heard["result"]
            self._events.append(heard)

    def see(self, file, *, picture=None, width=1200):
        """Open a file of the disk as a page, wait until it stands, and say what there is to see."""
        size = {"width": width, "height": 1600, "newWindow": True}
        target = self._say("Target.createTarget", url="about:blank", **size)["targetId"]
        session = self._say("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._say(f"{domain}.enable", session)
        self._events.clear()
        before = len(self._server.asked)
        self._say("Page.navigate", session, url=file.as_uri())
        until = time.monotonic() + PATIENCE
        while not any(e.get("method") == "Page.loadEventFired" for e in self._events):
            assert time.monotonic() < until, f"{file.name} was not opened"
            self._events.append(json.loads(self._wire.recv()))
        time.sleep(0.5)  # for what starts late
        found = self._say("Runtime.evaluate", session, expression=SEEN, returnByValue=True)
        seen = SimpleNamespace(**json.loads(found["result"]["value"]))
        if picture:
            made = self._say("Page.captureScreenshot", session, format="png")
            picture.write_bytes(base64.b64decode(made["data"]))
        self._say("Target.closeTarget", targetId=target)
        failed = [e["params"] for e in self._of("Network.loadingFailed")]
        stopped = {each["requestId"] for each in failed if each.get("blockedReason") == "csp"}
        sent = [e["params"] for e in self._of("Network.requestWillBeSent")]
        urls = [each["request"]["url"] for each in sent if each["requestId"] not in stopped]
        seen.asked = [url for url in urls if not url.startswith((file.as_uri(), "data:", "about:"))]
        seen.asked += [url for url in self._server.asked[before:] if ".beacon.invalid" in url]
        seen.told = [e["params"]["entry"]["text"] for e in self._of("Log.entryAdded")]
        seen.told += [str(e["params"]["args"]) for e in self._of("Runtime.consoleAPICalled")]
        seen.told += [str(e["params"]) for e in self._of("Runtime.exceptionThrown")]
        return seen

    def _of(self, method):
        return [event for event in self._events if event.get("method") == method]
