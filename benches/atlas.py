"""What the maps of all 1000 classes cost beside PyTorch: 224 x 224, one picture at a time, two threads, float32.

    pip install torch torchvision safetensors
    python benches/atlas.py [-n ROUNDS] [NETWORK ...]

Makes random weights, then in each round runs our benchmark (crates/introspective/benches/atlas.rs) and measures PyTorch
the authors' way: for each contrast one forward pass and one full backward pass of CrossEntropy(z, Q), the map after ReLU,
upsampled and scaled; on 20 classes, of which the fastest counts, multiplied to 1000. Then the whole command `introspect atlas` once a network, for
its peak memory. Prints medians over rounds (with the smallest and the largest); ratios are taken within each round, and
the one to a forward pass within each repetition, because other work on the machine comes and goes.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[1]
LAYERS = {"resnet50": "layer4", "vgg16": "features.29", "densenet121": "features.norm5", "squeezenet1_1": "features.12"}
CLASSES, MEASURED = 1000, 20
PARTS = {"forward": "forward pass", "maps": "all class and contrast maps", "ranking": "ranking", "voice": "VOICE"}


def contrast(net, kept, x, q):
    """One contrast map as in the authors' code: a forward pass, and gradients of everything."""
    z = net(x)
    net.zero_grad()
    F.cross_entropy(z, torch.tensor([q])).backward()
    saliency = (kept["gradient"].mean((2, 3), keepdim=True) * kept["activations"].detach()).sum(1, keepdim=True).relu()
    saliency = F.interpolate(saliency, x.shape[2:], mode="bilinear", align_corners=False)
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / (high - low)


def pytorch(name, x):
    net = getattr(torchvision.models, name)(weights=None).eval()
    for module in net.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    kept = {}

    def keep(_module, _inputs, output):
        kept["activations"] = output
        output.register_hook(lambda gradient: kept.__setitem__("gradient", gradient))
        return output.clone()

    net.get_submodule(LAYERS[name]).register_forward_hook(keep)
    for q in range(2):
        contrast(net, kept, x, q)
    times = []
    for q in range(MEASURED):
        start = time.perf_counter()
        contrast(net, kept, x, q)
        times.append(1000 * (time.perf_counter() - start))
    return min(times) * CLASSES


def ours(folder):
    command = ["cargo", "bench", "-q", "-p", "introspective", "--bench", "atlas"]
    environment = os.environ | {"INTROSPECT_BENCH": folder}
    text = subprocess.run(command, cwd=ROOT, env=environment, text=True, check=True, capture_output=True).stdout
    for line in text.splitlines():
        network, what, value = line.split()
        yield network, what, float(value)


def command(binary, folder, name):
    """Peak memory in MB and seconds of the whole command, from start to files written."""
    out = f"{folder}/out-{name}"
    picture = ROOT / "assets/coffee.png"
    words = [binary, "atlas", picture, "--model", name, "--weights", f"{folder}/{name}.safetensors", "--classes", "imagenet", "--out", out, "--force"]
    # a process of its own, because a child begins with the memory of its parent, and ours holds PyTorch
    measure = "import os, subprocess, sys, time; t = time.perf_counter(); p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL); " \
        "_, s, u = os.wait4(p.pid, 0); print(s, u.ru_maxrss / 1024, time.perf_counter() - t)"
    status, memory, seconds = subprocess.run([sys.executable, "-c", measure, *words], check=True, capture_output=True, text=True).stdout.split()
    assert status == "0", words
    return float(memory), float(seconds)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=list(LAYERS), metavar="NETWORK", help=f"of {', '.join(LAYERS)}")
    parser.add_argument("-n", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    x = torch.randn(1, 3, 224, 224)
    times, authors = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.networks:
            net = getattr(torchvision.models, name)(weights=None)
            state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
            save_file(state, f"{folder}/{name}.safetensors")
        for _ in range(args.n):
            for name, what, value in ours(folder):
                times.setdefault((name, what), []).append(value)
            for name in args.networks:
                authors.setdefault(name, []).append(pytorch(name, x))
        subprocess.run(["cargo", "build", "-q", "--release", "-p", "introspective-cli"], cwd=ROOT, check=True)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        memory = {name: command(target / "release/introspect", folder, name) for name in args.networks}
    for name in args.networks:
        print(name)

        def row(what, values, unit):
            print(f"  {what:58} {statistics.median(values):10.2f} {unit}   ({min(values):.2f} to {max(values):.2f})")

        for part, words in PARTS.items():
            row(words, times[name, part], "ms")
        row("forward pass and all maps, in forward passes", times[name, "ratio"], "  ")
        row("the authors' way, PyTorch, 1000 classes", [value / 1000 for value in authors[name]], "s ")
        whole = [f + m for f, m in zip(times[name, "forward"], times[name, "maps"])]
        row("... in times of our forward pass and all maps", [a / b for a, b in zip(authors[name], whole)], "  ")
        print(f"  {'the whole command: peak memory, time':58} {memory[name][0]:10.0f} MB {memory[name][1]:6.2f} s")


if __name__ == "__main__":
    main()
