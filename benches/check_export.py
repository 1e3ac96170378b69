"""Exported networks in another runtime: `introspect export` against ONNX Runtime.

    cargo build --release
    pip install onnx onnxruntime torch torchvision safetensors pillow
    python benches/check_export.py [ARCHITECTURE ...]      # default: the embedded network and one of each family

For each architecture: weights as torchvision initialises them, an export with the weights inside and one with
them beside the file. Each must pass onnx.checker with full_check, have its ends named `input` and `logits` and
its metadata, give PyTorch's logits to 1e-4 of the largest in ONNX Runtime, and the logits and maps of
`introspect explain --model FILE` must be those of the weights it came from. Prints a line each; exits with 1
if any differs.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import safetensors.torch
import torch
import torchvision
from PIL import Image
from torchvision import transforms as T

ROOT = pathlib.Path(__file__).resolve().parents[1]
INTROSPECT = ROOT / "target/release/introspect"
PICTURE = ROOT / "assets/coffee.png"
FAMILIES = ["squeezenet1_1", "resnet18", "resnet50", "alexnet", "vgg16", "vgg11_bn", "densenet121"]
TOLERANCE = 1e-4


def run(*args):
    done = subprocess.run([INTROSPECT, *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"introspect {' '.join(map(str, args))}: {done.stderr.strip()}")
    return done.stdout


def picture():
    steps = [T.Resize(256), T.CenterCrop(224), T.ToTensor(),
             T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    return T.Compose(steps)(Image.open(PICTURE).convert("RGB"))[None]


def explained(folder, *network):
    """Logits and raw maps."""
    manifest = json.loads(run("explain", PICTURE, *network, "--json", "--out", folder))
    with np.load(folder / "maps.npz") as maps:
        return np.float32(manifest["logits"]), {name: maps[name] for name in maps}


def difference(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def check(name, place):
    if name == "embedded":
        network, expected = [], None
    else:
        torch.manual_seed(0)
        net = getattr(torchvision.models, name)(weights=None).eval()
        # PyTorch's first layers are untrained, and so are ours; batch norm shall have something to do
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        weights = place / f"{name}.safetensors"
        safetensors.torch.save_file(net.state_dict(), weights)
        network = ["--model", name, "--weights", weights]
        with torch.no_grad():
            expected = net(picture())[0].numpy()
    ours, maps = explained(place / f"{name}-ours", *network)
    worst = {}
    for kind, flags in (("inside", []), ("beside", ["--external-data"])):
        path = place / f"{name}-{kind}.onnx"
        run("export", *network, "--out", path, *flags)
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(str(path), load_external_data=False)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        assert json.loads(metadata["layers"])[metadata["default_layer"]], "the default layer has no value"
        assert json.loads(metadata["preprocessing"])["crop"] == 224
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        assert [x.name for x in session.get_inputs()] == ["input"]
        assert [y.name for y in session.get_outputs()] == ["logits"]
        x = picture().numpy()
        logits = session.run(None, {"input": np.concatenate([x, x[..., ::-1]])})[0]
        assert logits.shape == (2, len(ours)), f"two pictures gave {logits.shape}"
        worst[f"{kind}: logits"] = difference(logits[0], ours)
        if expected is not None:
            worst[f"{kind}: PyTorch's logits"] = difference(logits[0], expected)
        again, maps_again = explained(place / f"{name}-{kind}-again", "--model", path)
        worst[f"{kind}: opened again, logits"] = difference(again, ours)
        assert maps_again.keys() == maps.keys()
        for which in maps:
            scale = max(np.abs(maps[which]).max(), 1e-30)
            gap = float(np.abs(maps_again[which] - maps[which]).max() / scale)
            worst[f"{kind}: opened again, maps"] = max(worst.get(f"{kind}: opened again, maps", 0.0), gap)
    what = max(worst, key=worst.get)
    print(f"{name:16} {'ok' if worst[what] <= TOLERANCE else 'DIFFERS'}   largest difference {worst[what]:.1e} ({what})")
    return worst[what] <= TOLERANCE


def main():
    names = sys.argv[1:] or ["embedded", *FAMILIES]
    fine = []
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            fine.append(check(name, pathlib.Path(place)))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
