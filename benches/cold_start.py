"""Process start to files written: `introspect explain` against a script with pytorch-grad-cam.

    cargo build --release
    pip install torch torchvision grad-cam safetensors pillow    # for the peer; left out if missing
    python benches/cold_start.py [PICTURE] [-n RUNS]

Runs the two in turn, each RUNS times after one warm-up, and prints wall time and peak memory as
minimum / median / maximum. Nothing else should be running.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def measure(command):
    start = time.perf_counter()
    with open(os.devnull, "w") as quiet:
        process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("picture", nargs="?", default=ROOT / "assets/coffee.png")
    parser.add_argument("-n", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        commands = {"introspect explain": [ROOT / "target/release/introspect", "explain", args.picture, "--force", "--out", pathlib.Path(out) / "ours"]}
        peer = [sys.executable, ROOT / "benches/pytorch_grad_cam_peer.py", args.picture, pathlib.Path(out) / "theirs.png"]
        if shutil.which(sys.executable) and subprocess.run([sys.executable, "-c", "import pytorch_grad_cam, torchvision"], capture_output=True).returncode == 0:
            commands["pytorch-grad-cam"] = peer
        runs = {name: [] for name in commands}
        for command in commands.values():
            measure(command)
        for _ in range(args.n):
            for name, command in commands.items():
                runs[name].append(measure(command))
                if name != "introspect explain" and len(runs[name]) >= 5:
                    del commands[name]  # seconds each; five are enough
                    break
        for name, results in runs.items():
            for what, values, unit, scale in (("wall", [r[0] for r in results], "ms", 1000), ("peak memory", [r[1] for r in results], "MB", 1)):
                low, middle, high = (scale * f(values) for f in (min, statistics.median, max))
                print(f"{name:20} {what:12} {low:9.1f} {middle:9.1f} {high:9.1f} {unit}   (min, median, max of {len(values)})")


if __name__ == "__main__":
    main()
