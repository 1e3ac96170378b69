"""What an explanation costs beside PyTorch: 224 x 224, one picture at a time, two threads, float32.

    pip install torch torchvision grad-cam safetensors onnxruntime
    python benches/maps.py [-n ROUNDS]

Makes random weights, then in each round runs our benchmark (crates/introspective/benches/maps.rs: forward pass,
and forward pass with all three maps, on either runtime) and measures PyTorch eager: the forward pass, one map with the
backward pass down to the layer only, and one map by pytorch-grad-cam (which computes gradients of all
parameters). Prints the median over rounds of each round's median, in milliseconds. Nothing else should run.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torchvision
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[1]
LAYERS = {"resnet50": "layer4", "vgg16": "features.29", "densenet121": "features.norm5"}
REPEATS = 20


def median(job):
    job()
    job()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        job()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def one_map(net, layer, x):
    """Grad-CAM with no gradient below the layer: the fastest form in eager PyTorch."""
    kept = {}

    def keep(_module, _inputs, output):
        # the graph begins here
        kept["a"] = output.detach().requires_grad_()
        return kept["a"].clone()

    handle = net.get_submodule(layer).register_forward_hook(keep)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    z = net(x)
    handle.remove()
    (gradient,) = torch.autograd.grad(z[0].max(), kept["a"])
    return (gradient.mean((2, 3), keepdim=True) * kept["a"]).sum(1).relu()


def pytorch(name, x):
    net = getattr(torchvision.models, name)(weights=None).eval()
    for module in net.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    layer = LAYERS[name]
    with torch.inference_mode():
        yield "PyTorch forward", median(lambda: net(x))
    yield "PyTorch forward + one map, backward to the layer", median(lambda: one_map(net, layer, x))
    try:
        from pytorch_grad_cam import GradCAM
    except ImportError:
        return
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    with GradCAM(model=net, target_layers=[net.get_submodule(layer)]) as cam:
        yield "pytorch-grad-cam, one map", median(lambda: cam(input_tensor=x, targets=None))


def ours(folder):
    command = ["cargo", "bench", "-q", "-p", "introspective", "--features", "onnxruntime", "--bench", "maps"]
    environment = os.environ | {"INTROSPECT_BENCH": folder, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    text = subprocess.run(command, cwd=ROOT, env=environment, text=True, check=True, capture_output=True).stdout
    what = None
    for line in text.splitlines():
        if found := re.match(r"^[├╰]─ (\w+)\s", line):
            what = found[1].replace("_", " ")
        # name, fastest | slowest | median | mean
        elif found := re.match(r"^.\s+[├╰]─ (\w+)/(\w+)\s+(?:[^│]+│){2}\s*([\d.]+) (µs|ms|s)\s*│", line):
            yield found[1], f"{found[2]}: {what}", float(found[3]) * {"µs": 1e-3, "ms": 1, "s": 1e3}[found[4]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    x = torch.randn(1, 3, 224, 224)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in LAYERS:
            net = getattr(torchvision.models, name)(weights=None)
            state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
            save_file(state, f"{folder}/{name}.safetensors")
        for _ in range(args.n):
            for network, what, value in ours(folder):
                results.setdefault((network, what), []).append(value)
            for name in LAYERS:
                for what, value in pytorch(name, x):
                    results.setdefault((name, what), []).append(value)
    for name in LAYERS:
        print(name)
        for (network, what), values in results.items():
            if network == name:
                print(f"  {what:52} {statistics.median(values):7.1f} ms   ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
