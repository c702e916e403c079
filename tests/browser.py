"""A real Chromium without a window, driven over its DevTools protocol, as far as the tests of the page need it."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from waiting import HANG_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-extensions",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
KEYS = {
    "Enter": (13, "\r"),
    "Tab": (9, ""),
    "Escape": (27, ""),
    " ": (32, " "),
    "ArrowDown": (40, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "Backspace": (8, ""),
}
# Chromium reads commands from file 3 and answers on file 4.
LAUNCH = """
import fcntl, os, sys
for number, file in enumerate([fcntl.fcntl(int(file), fcntl.F_DUPFD, 10) for file in sys.argv[1:3]], 3):
    os.dup2(file, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
ALT, CONTROL, SHIFT = 1, 2, 8


def find_chromium():
    """Its path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One process, and the pipes to it; each page is a window of its own that shares nothing with the others.

    Chromium ends when its pipe does, so none is left over when the tests are killed.
    """

    def __init__(self, program, *options):
        self.home = tempfile.mkdtemp(prefix="chromium")
        theirs, ours = os.pipe()
        answers, written = os.pipe()
        command = [program, *OPTIONS, *options, f"--user-data-dir={self.home}", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-ISc", LAUNCH, str(theirs), str(written), *command],
            pass_fds=(theirs, written),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(written)
        self.to, self.source = os.fdopen(ours, "wb", 0), os.fdopen(answers, "rb", 0)
        self.numbers, self.answers, self.pages = itertools.count(1), {}, {}
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        rest = b""
        while data := self.source.read(2**20):
            *messages, rest = (rest + data).split(b"\0")
            for message in messages:
                self._take(json.loads(message))

    def _take(self, message):
        if "id" in message:
            self.answers.pop(message["id"]).put(message)
        elif message.get("sessionId") in self.pages:
            self.pages[message["sessionId"]].notice(message["method"], message["params"])

    def send(self, method, session=None, **params):
        """Ask without waiting; the queue holds the answer some time."""
        number, answer = next(self.numbers), SimpleQueue()
        self.answers[number] = answer
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        self.to.write(json.dumps(message).encode() + b"\0")
        return answer

    def call(self, method, session=None, **params):
        """Ask, and wait for the answer."""
        try:
            data = self.send(method, session, **params).get(timeout=HANG_SECONDS)
        except Empty:
            raise TimeoutError(f"{method}: no answer") from None
        if "error" in data:
            raise RuntimeError(f"{method}: {data['error']['message']}")
        return data["result"]

    @contextmanager
    def page(self, url, width=1280, height=900, scheme="light", motion="no-preference", script=""):
        """A new window at this address; ``script`` runs before the page's own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        if script:
            page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        page.emulate(scheme, motion)
        try:
            page.go(url)
            yield page
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)
            del self.pages[session]

    def close(self):
        """End it."""
        self.send("Browser.close")
        try:
            self.process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(HANG_SECONDS)
        self.reader.join(HANG_SECONDS)
        self.to.close()
        self.source.close()
        shutil.rmtree(self.home, ignore_errors=True)


class Page:
    """One window: what a person does in it. ``errors`` are its complaints, ``failed`` are answers that were errors."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session
        self.errors, self.failed, self.requests = deque(), deque(), deque()
        self.loads = 0

    def call(self, method, **params):
        """A command of the protocol."""
        return self.browser.call(method, self.session, **params)

    def notice(self, method, params):
        """Take note of an event."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(each.get("value")) for each in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            place = self.failed if params["entry"]["source"] == "network" else self.errors
            place.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"])
        elif method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Page.javascriptDialogOpening":
            self.browser.send("Page.handleJavaScriptDialog", self.session, accept=True)

    def resize(self, width, height, mobile=False):
        """The size of the window in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def emulate(self, scheme="light", motion="no-preference"):
        """What the person prefers."""
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        self.call("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in features.items()])

    def go(self, url):
        """Load an address."""
        loads = self.loads
        self.call("Page.navigate", url=url)
        self._until(lambda: self.loads > loads, f"{url} did not load")

    def run(self, script):
        """What an expression is worth; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(result["result"].get("description", script))
        return result["result"].get("value")

    def wait(self, script):
        """Wait until an expression is true."""
        self._until(lambda: self.run(f"!!({script})"), f"never came true: {script}; {list(self.errors)}")

    @staticmethod
    def _until(check, complaint):
        deadline = time.monotonic() + HANG_SECONDS
        while not check():
            assert time.monotonic() < deadline, complaint
            time.sleep(0.02)

    def click(self, selector):
        """With the mouse, at its middle, once it is there and nothing covers it."""
        self.wait(f"document.querySelector({json.dumps(selector)})")
        x, y, hit = self.run(
            f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: "center"}}); const r = e.getBoundingClientRect();
            const x = r.x + r.width / 2, y = r.y + r.height / 2, at = document.elementFromPoint(x, y);
            return [x, y, !!at && (e.contains(at) || at.contains(e))]; }})()"""
        )
        assert hit, f"{selector} is covered"
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key, modifiers=0, times=1):
        """A key, as the keyboard sends it."""
        code, text = KEYS[key]
        for _ in range(times):
            base = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
            typed = {} if modifiers & (ALT | CONTROL) or not text else {"text": text}
            self.call("Input.dispatchKeyEvent", type="keyDown", modifiers=modifiers, **base, **typed)
            self.call("Input.dispatchKeyEvent", type="keyUp", modifiers=modifiers, **base)

    def type(self, text):
        """Into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def write(self, selector, text):
        """Instead of what is in a field."""
        self.run(f"(e => {{ e.focus(); e.select(); }})(document.querySelector({json.dumps(selector)}))")
        self.type(text)

    def choose_file(self, selector, path):
        """As if from the dialog of files."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def text(self, selector):
        """What an element says."""
        return self.run(f"document.querySelector({json.dumps(selector)}).textContent.trim().replace(/\\s+/g, ' ')")

    def controls(self):
        """Role, name, and description of everything in the accessibility tree that can be focused."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        found = []
        for node in nodes:
            properties = {each["name"]: each["value"].get("value") for each in node.get("properties", ())}
            if not node["ignored"] and properties.get("focusable") and node["role"]["value"] != "RootWebArea":
                found.append((node["role"]["value"], node.get("name", {}).get("value", "").strip()))
        return found

    def download(self, selector, folder):
        """Click, and the bytes of the one file that comes of it."""
        context = self.call("Target.getTargetInfo")["targetInfo"]["browserContextId"]
        self.browser.call(
            "Browser.setDownloadBehavior", behavior="allow", browserContextId=context, downloadPath=str(folder)
        )
        before = set(folder.iterdir())
        self.click(selector)
        new = []

        def come():
            # the browser holds the name with an empty file, writes beside it and then renames: empty is unfinished
            new[:] = [path for path in set(folder.iterdir()) - before if path.suffix != ".crdownload"]
            return bool(new) and new[0].stat().st_size > 0

        self._until(come, "nothing was downloaded")
        return new[0].name, new[0].read_bytes()

    def shoot(self, path, whole=True):
        """A picture of the page as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        Path(path).write_bytes(base64.b64decode(data))
