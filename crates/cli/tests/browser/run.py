"""The pages in a real browser: `python3 run.py PATH/TO/introspect [FOLDER FOR SCREENSHOTS]`.

Fails where the browser is missing. Debian: apt-get install chromium chromium-driver.
"""

import base64
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
import zlib

from driver import Browser

HERE = pathlib.Path(__file__).resolve()
PHOTOGRAPH = HERE.parents[4] / "assets" / "coffee.png"


def check(what, holds, *seen):
    if not holds:
        sys.exit(f"FAILED: {what} {' '.join(map(str, seen))}")
    print(f"ok: {what}")


def pixels(path):
    """Width, height and RGB bytes of an 8-bit RGB PNG."""
    data, at, packed = pathlib.Path(path).read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    raw, stride, above, rows = zlib.decompress(packed), 3 * width, bytes(3 * width), []
    for y in range(height):
        kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for x in range(stride):
            left, corner = (row[x - 3], above[x - 3]) if x >= 3 else (0, 0)
            up = above[x]
            estimate = left + up - corner
            nearest = min((left, up, corner), key=lambda value: abs(estimate - value))
            row[x] = (row[x] + (0, left, up, (left + up) // 2, nearest)[kind]) % 256
        rows.append(bytes(row))
        above = row
    return width, height, rows


def same_picture(browser, selector, path):
    """Largest difference, over a grid of places, between a canvas and a picture of the run folder."""
    width, height, rows = pixels(path)
    step = 17
    places = [[x, y] for y in range(0, height, step) for x in range(0, width, step)]
    seen = browser.run(
        "const canvas = document.querySelector(values[0]); const context = canvas.getContext('2d');"
        "if (canvas.width !== values[2] || canvas.height !== values[3]) return [canvas.width, canvas.height];"
        "const all = context.getImageData(0, 0, canvas.width, canvas.height).data;"
        "return values[1].map(([x, y]) => [...all.slice(4 * (y * canvas.width + x), 4 * (y * canvas.width + x) + 3)]);",
        selector, places, width, height)
    if len(seen) != len(places):
        sys.exit(f"{selector} is {seen}, the picture {width} x {height}")
    return max(abs(a - rows[y][3 * x + c]) for (x, y), pixel in zip(places, seen) for c, a in enumerate(pixel))


CANVAS = "return document.querySelector(values[0]).toDataURL()"
BACKGROUND = "return getComputedStyle(document.body).backgroundColor"
FITS = "return document.documentElement.scrollWidth <= innerWidth"


def report_of(browser, folder, shots):
    """report.html of `explain`, opened from the disk."""
    browser.open((folder / "report.html").as_uri())
    browser.wait("the maps", "return document.querySelector('#why canvas')?.width > 1")
    manifest = json.loads((folder / "manifest.json").read_text())
    check("the page names the prediction", manifest["top5"][0]["name"].split(",")[0] in browser.text("#prediction"))
    for question in manifest["questions"]:
        place = "#" + question["question"]
        check(f"{question['text']} and its note as in the manifest",
              browser.text(f"{place} strong") == question["text"] and browser.text(f"{place} small") == question["note"],
              browser.text(f"{place} strong"), browser.text(f"{place} small"))
        worst = same_picture(browser, f"{place} canvas", folder / question["picture"])
        check(f"its map is the picture {question['picture']} within 3 levels", worst <= 3, worst)
    before = browser.run(CANVAS, "#rather-than canvas")
    browser.click("#classes li:nth-child(3) .other")
    check("a click on a class changes the contrast", browser.run(CANVAS, "#rather-than canvas") != before)
    third = browser.run("return document.querySelector('#classes li:nth-child(3) .class').textContent")
    check("and its question", browser.text("#rather-than strong").endswith(f"rather than {third}?"))
    browser.run("const range = document.querySelector('#opacity'); range.value = 0; range.dispatchEvent(new Event('input'))")
    plain = browser.run("return document.querySelectorAll('canvas')[0].toDataURL()")
    browser.run("const style = document.querySelector('#style'); style.value = 'blend'; style.dispatchEvent(new Event('change'))")
    check("an overlay of no opacity is the photograph", browser.run(CANVAS, "#why canvas") == plain)
    browser.run("const range = document.querySelector('#opacity'); range.value = 70; range.dispatchEvent(new Event('input'))")
    browser.run("document.querySelector('#classes li:nth-child(2) .asked').focus()")
    browser.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": [
        {"type": "keyDown", "value": "\ue007"}, {"type": "keyUp", "value": "\ue007"}]}]})
    second = browser.run("return document.querySelector('#classes li:nth-child(2) .class').textContent")
    browser.wait("the keyboard asks about another class",
                 "return document.querySelector('#why strong').textContent === `Why ${values[0]}?`", second)
    light = browser.run(BACKGROUND)
    browser.click("#theme")
    check("the lights can be turned off", browser.run(BACKGROUND) != light)
    browser.picture(shots / "report-dark.png")
    browser.size(390, 800)
    check("it fits a telephone", browser.run(FITS))
    browser.picture(shots / "report-phone.png")
    browser.size(1280, 900)
    check("it asks nobody for anything", browser.hosts() <= {"file://", "data"}, browser.hosts())
    check("no complaint on the console", (errors := browser.errors()) == [], errors)


def atlas_of(browser, folder, shots):
    """report.html of `atlas`: every class."""
    browser.open((folder / "report.html").as_uri())
    browser.wait("the map of the uncertainty", "return document.querySelector('#voice canvas')?.width > 1")
    browser.type("#search", "lemon")
    before = browser.run(CANVAS, "#rather-than canvas")
    browser.click("#classes li .other")
    check("a class that was searched for has a contrast", browser.run(CANVAS, "#rather-than canvas") != before)
    browser.picture(shots / "atlas.png")
    check("no complaint on the console", (errors := browser.errors()) == [], errors)


def viewer(browser, url, shots):
    """The served page."""
    browser.hosts()
    browser.open(url)
    browser.wait("the layers", "return document.querySelectorAll('#layer option').length > 3")
    browser.picture(shots / "viewer-empty.png")
    browser.type("#file", str(PHOTOGRAPH))
    browser.wait("the prediction", "return document.querySelector('#prediction')?.textContent.includes('espresso')")
    request = urllib.request.Request(url + "explain?name=x", PHOTOGRAPH.read_bytes(), {"Content-Type": "image/png"})
    answer = json.load(urllib.request.urlopen(request))
    for question in answer["questions"]:
        check(f"{question['text']} as the API says", browser.text(f"#{question['question']} small") == question["note"])
    before = browser.run(CANVAS, "#rather-than canvas")
    browser.type("#search", "lemon")
    browser.click("#classes li .other")
    browser.wait("a map that the page did not have", f"return document.querySelector('#rather-than strong').textContent.endsWith('lemon?')")
    check("a click on a class changes the map", browser.run(CANVAS, "#rather-than canvas") != before)
    browser.picture(shots / "viewer.png")

    # the answer to an earlier click that comes late is not shown
    browser.run("const plain = window.fetch; window.fetch = async (...given) => { const answer = await plain(...given);"
                "if (String(given[0]).includes('/cam/')) await new Promise((done) => setTimeout(done, 600)); return answer; };")
    browser.run("const search = document.querySelector('#search'); search.value = 'zebra'; search.dispatchEvent(new Event('input'));"
                "document.querySelector('#classes .other').click(); search.value = ''; search.dispatchEvent(new Event('input'));"
                "document.querySelector('#classes li:nth-child(4) .other').click();")
    fourth = browser.run("await new Promise((done) => setTimeout(done, 900)); return document.querySelector('#classes li:nth-child(4) .class').textContent")
    check("the last click counts", browser.text("#rather-than strong").endswith(f"rather than {fourth}?"), browser.text("#rather-than strong"))
    browser.run("const search = document.querySelector('#search'); search.value = 'lemon'; search.dispatchEvent(new Event('input'));"
                "document.querySelector('#classes .other').click()")
    browser.wait("lemon again", "return document.querySelector('#rather-than strong').textContent.endsWith('lemon?')")

    href = browser.run("return document.querySelector('#run').href")
    archive = zipfile.ZipFile(io.BytesIO(urllib.request.urlopen(href).read()))
    names = {name.split("/")[1] for name in archive.namelist()}
    check("the run folder can be had", archive.testzip() is None and {"manifest.json", "maps.npz", "panel.png", "rather-than-lemon.png"} <= names, names)

    before = browser.run(CANVAS, "#why canvas")
    browser.run("const layer = document.querySelector('#layer'); layer.selectedIndex -= 4; layer.dispatchEvent(new Event('change'))")
    browser.wait("another layer", "return !document.body.classList.contains('busy') && document.querySelector('#why canvas').toDataURL() !== values[0]", before)

    check("the question stays at another layer", browser.text("#rather-than strong").endswith("rather than lemon?"), browser.text("#rather-than strong"))
    check("the layer that is shown is chosen", browser.run("return document.querySelector('#layer').value") in browser.text("#explorer dl"))

    # dropped, not chosen
    browser.run("document.querySelector('#explorer').textContent = ''")
    browser.run(
        "const bytes = Uint8Array.from(atob(values[0]), (letter) => letter.charCodeAt(0));"
        "const data = new DataTransfer(); data.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));"
        "document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))",
        base64.b64encode(PHOTOGRAPH.read_bytes()).decode())
    browser.wait("a dropped picture", "return document.querySelector('#prediction')?.textContent.includes('dropped.png')")
    check("no complaint on the console", (errors := browser.errors()) == [], errors)

    browser.run(
        "const data = new DataTransfer(); data.items.add(new File(['hello'], 'words.txt'));"
        "document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))")
    browser.wait("words instead of a picture for what is none", "return document.querySelector('#message').textContent.includes('words.txt: is text')")
    check("the picture before stays", "dropped.png" in browser.text("#prediction"))
    browser.errors()

    light = browser.run(BACKGROUND)
    browser.click("#theme")
    check("the lights can be turned off", browser.run(BACKGROUND) != light)
    browser.size(390, 800)
    check("it fits a telephone", browser.run(FITS))
    browser.picture(shots / "viewer-phone.png")
    browser.size(1280, 900)
    hosts = {host for host in browser.hosts() if host not in ("data", "blob", "file://")}
    check("it asks this server and no other", hosts <= {url.rstrip("/")}, hosts)


def main():
    introspect = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        shots = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else place
        os.makedirs(shots, exist_ok=True)
        subprocess.run([introspect, "explain", "--out", place / "explained"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([introspect, "atlas", "--out", place / "atlas"], check=True, stdout=subprocess.DEVNULL)
        browser = Browser()
        server = subprocess.Popen([introspect, "serve", "--address", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            browser.size(1280, 900)
            report_of(browser, place / "explained", shots)
            atlas_of(browser, place / "atlas", shots)
            viewer(browser, server.stdout.readline().strip(), shots)
            server.send_signal(2)
            check("Ctrl-C stops the server in order", server.wait(timeout=20) == 0)
        finally:
            server.kill()
            browser.close()
    print("all pages did what they should")


main()
