"""Every corruption of 200 pictures of 224 x 224, ours and `imagecorruptions`', two threads or processes each.

    pip install imagecorruptions numpy scipy scikit-image opencv-python-headless pillow
    python crates/corrupt/benches/corrupt.py [-n PICTURES] [-r ROUNDS]

Severities in turn, the same pictures on both sides, pictures in memory before and results dropped after. Ours runs on two
threads; the package, which holds Python's lock, in two processes that were started before, with OpenCV on one thread in each. The two
are measured in turns; printed are the medians over the rounds, in milliseconds a picture (of the clock, so for two pictures
at a time), and their ratio. glass_blur takes the package a minute and a half.
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
    return int(corrupt(PICTURES[number], name, 1 + number % 5)[0, 0, 0])


def ours(count):
    command = ["cargo", "bench", "-q", "-p", "introspective-corrupt", "--bench", "corrupt", "--", "--json", str(count)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["corruption"]: line["seconds"] for line in lines}


def package(pool, count):
    seconds = {}
    for name in NAMES:
        pool.map(corrupted, [(name, 0), (name, 1)], chunksize=1)  # frost's files, caches
        begin = time.perf_counter()
        pool.map(corrupted, [(name, number) for number in range(count)], chunksize=5)
        seconds[name] = time.perf_counter() - begin
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
    median = lambda side, name: 1e3 * statistics.median(r[side][name] for r in rounds) / options.pictures  # noqa: E731
    print(f"{'ms a picture':<20}{'ours':>8}{'package':>10}{'ratio':>8}")
    totals = [0, 0]
    for name in NAMES:
        mine, theirs = median(0, name), median(1, name)
        totals = [totals[0] + mine, totals[1] + theirs]
        print(f"{name:<20}{mine:8.2f}{theirs:10.2f}{theirs / mine:8.1f}")
    print(f"{'all':<20}{totals[0]:8.2f}{totals[1]:10.2f}{totals[1] / totals[0]:8.1f}")
    without = [total - median(side, "glass_blur") for side, total in enumerate(totals)]
    print(f"{'without glass_blur':<20}{without[0]:8.2f}{without[1]:10.2f}{without[1] / without[0]:8.1f}")


if __name__ == "__main__":
    main()
