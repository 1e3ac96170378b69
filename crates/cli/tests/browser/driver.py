"""Chromium by way of ChromeDriver, with nothing but Python's own library: the few commands of WebDriver that the tests need."""

import atexit
import base64
import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
]


def program(*names):
    """The path of the first of these that is installed; without any the tests fail, they are never left out."""
    for name in names:
        if path := shutil.which(name):
            return path
    sys.exit(f"none of {', '.join(names)} is installed; on Debian: apt-get install chromium chromium-driver")


class Browser:
    """A window."""

    def __init__(self):
        chromium = program("chromium", "chromium-browser", "google-chrome")
        self.process = subprocess.Popen([program("chromedriver"), "--port=0"], stdout=subprocess.PIPE, text=True)
        # whatever happens: a driver left behind would keep its browser
        atexit.register(self.process.kill)
        port = None
        for line in self.process.stdout:
            if "successfully on port" in line:
                port = int(line.split("on port")[1].strip(" .\n"))
                break
        self.base = f"http://127.0.0.1:{port}"
        capabilities = {
            "goog:chromeOptions": {"binary": chromium, "args": FLAGS},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.base += f"/session/{made['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode()[:2000]}") from None

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def size(self, width, height):
        """Of the page itself, whatever the window's frame is."""
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}})

    def run(self, script, *values):
        """Runs a function's body in the page; a promise is waited for."""
        wrapped = f"const done = arguments[arguments.length - 1]; const given = [...arguments].slice(0, -1); " \
                  f"(async (...values) => {{ {script} }})(...given).then(done, (error) => done('error: ' + error.message));"
        return self.call("POST", "/execute/async", {"script": wrapped, "args": list(values)})

    def find(self, selector):
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def text(self, selector):
        return self.run("return document.querySelector(values[0])?.textContent ?? null", selector)

    def wait(self, what, script, *values, seconds=20):
        """Until the script's answer is true."""
        end = time.time() + seconds
        while not (answer := self.run(script, *values)) or str(answer).startswith("error:"):
            if time.time() > end:
                sys.exit(f"waited in vain for: {what} ({answer})")
            time.sleep(0.05)
        return answer

    def errors(self):
        """What the page complained about since it was asked last."""
        entries = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def hosts(self):
        """Schemes and hosts that were asked since it was asked last."""
        asked = set()
        for entry in self.call("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                asked.add("/".join(url.split("/")[:3]) if not url.startswith(("data:", "blob:")) else url.split(":")[0])
        return asked

    def picture(self, path):
        """Of the whole page."""
        metrics = self.call("POST", "/goog/cdp/execute", {"cmd": "Page.getLayoutMetrics", "params": {}})
        size = metrics["cssContentSize"]
        shot = self.call("POST", "/goog/cdp/execute", {"cmd": "Page.captureScreenshot", "params": {
            "captureBeyondViewport": True, "clip": {**size, "scale": 1}}})
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.process.terminate()
