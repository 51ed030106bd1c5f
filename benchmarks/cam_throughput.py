"""CAM throughput beside pytorch-grad-cam, for the same net, layer, method and images.

Both in one process, in turn, so that a change of the machine's speed meets both. What is printed
are the median speed of each and ratios of those medians; "forward" is a plain float32 pass without
autograd of the net as it was trained. Ours is timed in float32 and in the precision that
`CamDenoiser` chooses on this machine. The peer is timed twice: on the net that ours is made from,
whose memory is laid out channels-last as `WaferClassifier` does it, and on a copy as torch builds
it, which is what its users pass.

Run as ``python benchmarks/cam_throughput.py``.
"""

from __future__ import annotations

import argparse
import copy
import time

import numpy as np
import pandas as pd
import torch
from pytorch_grad_cam import GradCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from camdenoise._backbones import make_backbone
from camdenoise._encoding import encode_maps, one_hot
from camdenoise._inference import inference_net, takes_bfloat16
from camdenoise.cam import activation_maps, auto_layers
from camdenoise.datasets import make_wafer_maps

PEERS = {"gradcam": GradCAM, "layercam": LayerCAM}
#: Net -> the layer where Grad-CAM is usually asked for.
LAYERS = {
    "wafer_resnet": "stage4",
    "resnet18": "layer4",
    "efficientnet_b0": "conv_head",
    "vgg11_bn": "block5",
}


def seconds(work) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, method: str, where: str, images: torch.Tensor, rounds: int) -> dict:
    """Time our engine, the peer and a plain pass in turn."""
    torch.manual_seed(0)
    net = make_backbone(name, 6).eval().to(memory_format=torch.channels_last)
    layers = auto_layers(net, images.shape[-1]) if where == "auto" else (LAYERS[name],)
    with torch.no_grad():
        codes = net(images).argmax(dim=1)
    targets = [ClassifierOutputTarget(int(code)) for code in codes]

    def forward():
        with torch.inference_mode():
            net(images)

    def ours(precision):
        fast = inference_net(net, images.shape[-1])
        activation_maps(fast, images, layers, method=method, targets=codes, precision=precision)

    def peer(of_net, of_images):
        with PEERS[method](of_net, [of_net.stages[layer] for layer in layers]) as cam:
            cam(of_images, targets=targets)

    plain, plain_images = (
        copy.deepcopy(net).to(memory_format=torch.contiguous_format),
        images.clone(memory_format=torch.contiguous_format),
    )
    works = {
        "forward": forward,
        "ours, float32": lambda: ours("float32"),
        "ours": lambda: ours("auto"),
        "peer": lambda: peer(net, images),
        "peer, as built": lambda: peer(plain, plain_images),
    }
    for work in works.values():
        work()
    times = pd.DataFrame([{k: seconds(w) for k, w in works.items()} for _ in range(rounds)])
    medians = times.median()
    speed = (len(images) / medians).round().astype(int)
    return {
        "net": name,
        "method": method,
        "layers": " ".join(layers),
        "bfloat16": takes_bfloat16(net, "auto"),
        **{f"{key} (maps/s)": value for key, value in speed.items()},
        **{
            f"{other} / {one}": round(medians[other] / medians[one], 1)
            for one in ("ours, float32", "ours")
            for other in ("forward", "peer", "peer, as built")
        },
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument(
        "--layers", choices=("last", "auto"), default="last", help="auto: those of CamDenoiser"
    )
    parser.add_argument("--nets", nargs="+", choices=LAYERS, default=list(LAYERS))
    options = parser.parse_args()
    wafers = make_wafer_maps(options.batch, random_state=0)
    images = one_hot(encode_maps(wafers.maps, options.size))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, numpy {np.__version__}")
    rows = [
        compare(name, method, options.layers, images, options.rounds)
        for name in options.nets
        for method in PEERS
    ]
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
