"""Every corruption of 200 pictures of 224 x 224, ours and `imagecorruptions`', two threads or processes each.

    pip install imagecorruptions numpy scipy scikit-image opencv-python-headless pillow
    python crates/corrupt/benches/corrupt.py [-n PICTURES] [-r ROUNDS]

Severities in turn, the same pictures on both sides, pictures in memory before and results dropped after. Ours runs on two
threads; the package, which holds Python's lock, in two processes that were started before, with OpenCV on one thread in
each. The two are measured in turns; printed are medians over the rounds, in milliseconds a picture: of the clock, for two
pictures at a time, and of processor time, which means more on a busy machine. glass_blur takes the package minutes.
"""

import argparse
import json
import multiprocessing
import pathlib
import statistics
import subprocess
import sys
import time
import warnings

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "crates/corrupt/tests/fixtures"))
warnings.simplefilter("ignore")
from reference import NAMES, corrupt, cv2  # noqa: E402


def picture(number, size=224):
    y, x, c = np.ogrid[:size, :size, :3]
    wave = (3 * x + 5 * y + 40 * c + 11 * number) % 256
    square = np.where((x // 16 + y // 24 + number) % 2 == 0, 60, 0)
    grain = (x * 7919 + y * 104_729 + c * 31) % 23
    return ((wave + square) // 2 + grain).astype(np.uint8)


def start(count):
    global PICTURES
    cv2.setNumThreads(1)
    PICTURES = [picture(number) for number in range(count)]


def corrupted(job):
    name, number = job
    begin = time.process_time()
    corrupt(PICTURES[number], name, 1 + number % 5)
    return time.process_time() - begin


def ours(count):
    command = ["cargo", "bench", "-q", "-p", "introspective-corrupt", "--bench", "corrupt", "--", "--json", str(count)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["corruption"]: (line["wall_s"], line["cpu_s"]) for line in lines}


def package(pool, count):
    seconds = {}
    for name in NAMES:
        pool.map(corrupted, [(name, 0), (name, 1)], chunksize=1)  # caches
        begin = time.perf_counter()
        busy = pool.map(corrupted, [(name, number) for number in range(count)], chunksize=5)
        seconds[name] = (time.perf_counter() - begin, sum(busy))
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--pictures", type=int, default=200)
    parser.add_argument("-r", "--rounds", type=int, default=1)
    options = parser.parse_args()
    rounds = []
    with multiprocessing.Pool(2, start, (options.pictures,)) as pool:
        for _ in range(options.rounds):
            rounds.append((ours(options.pictures), package(pool, options.pictures)))

    def median(side, name, what):
        return 1e3 * statistics.median(r[side][name][what] for r in rounds) / options.pictures

    def row(title, names):
        cells = [sum(median(side, name, what) for name in names) for what in (0, 1) for side in (0, 1)]
        wall, cpu = cells[:2], cells[2:]
        print(f"{title:<20}" + "".join(f"{a:9.2f}{b:9.2f}{b / a:8.1f}" for a, b in (wall, cpu)))

    print(f"{'ms a picture':<20}{'clock':>9}{'package':>9}{'ratio':>8}{'cpu':>9}{'package':>9}{'ratio':>8}")
    for name in NAMES:
        row(name, [name])
    row("all", NAMES)
    row("without glass_blur", [name for name in NAMES if name != "glass_blur"])


if __name__ == "__main__":
    main()
