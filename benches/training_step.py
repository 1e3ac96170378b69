"""Seconds of a training step of cifar_resnet18 (batch 128, 32 x 32, two threads): PyTorch and `introspect train`.

python benches/training_step.py [path of introspect, built with --features train]

Both train on noise. PyTorch's steps are timed one by one; of introspect, epochs are (the difference of runs with three
epochs and with one), which includes reading, augmentation and checkpoints.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BATCH, STEPS, THREADS = 128, 20, 2


class Block(nn.Module):
    def __init__(self, width, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(width, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Identity()
        if stride != 1 or width != planes:
            conv = nn.Conv2d(width, planes, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(planes))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


def network():
    blocks = [Block(w, p, s) for w, p, s in
              [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def pytorch(layout):
    torch.set_num_threads(THREADS)
    net = network().to(memory_format=layout)
    x = torch.randn(BATCH, 3, 32, 32).to(memory_format=layout)
    y = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    times = []
    for _ in range(STEPS + 3):
        start = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return statistics.median(times[3:])


def introspect(binary):
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        records = random.integers(0, 256, (BATCH * STEPS, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        records.tofile(Path(folder) / "noise.bin")
        (Path(folder) / "names.txt").write_text("\n".join("abcdefghij"))

        def run(epochs):
            start = time.perf_counter()
            subprocess.run([binary, "train", "--data", "noise.bin", "--classes", "names.txt",
                            "--arch", "cifar_resnet18", "--epochs", str(epochs), "--val-split", "0",
                            "--batch", str(BATCH), "--threads", str(THREADS), "--lr", "0.01",
                            "--json", "--force", "--out", "out.safetensors"],
                           cwd=folder, check=True, capture_output=True)
            return time.perf_counter() - start

        one, three = run(1), run(3)
        return (three - one) / (2 * STEPS)


if __name__ == "__main__":
    binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/introspect")
    for _ in range(2):
        print(f"PyTorch {torch.__version__}, channels first: {pytorch(torch.contiguous_format) * 1e3:.0f} ms")
        print(f"PyTorch, channels last: {pytorch(torch.channels_last) * 1e3:.0f} ms")
        print(f"introspect train: {introspect(binary) * 1e3:.0f} ms", flush=True)
