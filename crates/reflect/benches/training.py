"""One epoch of H, ours on factors beside PyTorch's on dense features: 50,000 images, d = 64, N = 10, two threads.

    pip install torch
    python crates/reflect/benches/training.py [-n ROUNDS]

Both train 640 -> 300 -> 100 -> 10 (sigmoid) on min-max-scaled features in shuffled batches of 128, with SGD, momentum
0.9 and weight decay 5e-4. PyTorch holds the 50,000 x 640 matrix of features (128 MB), scaled beforehand, and takes a
batch by one indexing; ours holds h and g (15 MB), and forms and scales the products of a batch as it comes. The two
are measured in turns, each for 3 epochs after one to warm up; printed are medians over the rounds of each round's best
epoch: seconds of the clock, and seconds of processor time of all threads, which mean more on a busy machine.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import torch

ROOT = pathlib.Path(__file__).resolve().parents[3]
IMAGES, CLASSES, FEATURES, BATCH, EPOCHS = 50_000, 10, 64, 128, 3


def ours():
    command = ["cargo", "bench", "-q", "-p", "introspective-reflect", "--bench", "training", "--", "--json", str(EPOCHS)]
    environment = dict(os.environ, RAYON_NUM_THREADS="2")
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def pytorch():
    torch.manual_seed(0)
    h, z = torch.rand(IMAGES, FEATURES), 10 * torch.rand(IMAGES, CLASSES)
    labels = torch.arange(IMAGES) % CLASSES
    g = 2 / CLASSES * (z - 8)
    x = (g[:, :, None] * h[:, None, :]).reshape(IMAGES, -1)
    low, high = x.min(0).values, x.max(0).values
    x = -1 + 2 * (x - low) / (high - low)
    net = torch.nn.Sequential(
        torch.nn.Linear(CLASSES * FEATURES, 300), torch.nn.Sigmoid(),
        torch.nn.Linear(300, 100), torch.nn.Sigmoid(),
        torch.nn.Linear(100, CLASSES),
    )
    loss_of = torch.nn.CrossEntropyLoss()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for epoch in range(EPOCHS + 1):
        start, busy = time.perf_counter(), time.process_time()
        for rows in torch.randperm(IMAGES).split(BATCH):
            sgd.zero_grad()
            loss_of(net(x[rows]), labels[rows]).backward()
            sgd.step()
        if epoch > 0:
            yield {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - busy}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(2)
    build = ["cargo", "bench", "-q", "-p", "introspective-reflect", "--bench", "training", "--no-run"]
    subprocess.run(build, cwd=ROOT, check=True)
    measured = {"ours, on factors": [], "PyTorch, dense": []}
    for _ in range(rounds):
        for name, run in zip(measured, (ours, pytorch)):
            epochs = list(run())
            measured[name].append({key: min(epoch[key] for epoch in epochs) for key in ("wall_s", "cpu_s")})
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; PyTorch {torch.__version__}")
    for name, best in measured.items():
        wall, cpu = (statistics.median(one[key] for one in best) for key in ("wall_s", "cpu_s"))
        print(f"{name:18} {wall:.3f} s an epoch, {cpu:.3f} s of processor time")


if __name__ == "__main__":
    main()
