"""CAM throughput beside pytorch-grad-cam, for the same net, layer, method and images.

Both in one process, in turn, so that a change of the machine's speed meets both. What is printed
are the median speed of each and ratios of those medians; "forward" is a plain float32 pass without
autograd of the net as it was trained. Ours is timed in float32 and in the precision that "auto"
chooses on this machine; `CamDenoiser` also folds batch norms, which saves some more. The peer is
timed twice: on the net that ours is given, whose memory is laid out channels-last as
`WaferClassifier` does it, and on a copy as torch builds it, which is what its users pass.

The share of the peak is what ours does of the multiplications and additions that a product of two
large matrices does in the same time, in float32.

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
from torch.nn.functional import interpolate, one_hot
from torch.utils.flop_counter import FlopCounterMode

from camdenoise.cam import activation_maps, auto_layers
from camdenoise.datasets import make_wafer_maps
from camdenoise.nets import make_backbone

PEERS = {"gradcam": GradCAM, "layercam": LayerCAM}
#: Net -> the layer where Grad-CAM is usually asked for.
LAYERS = {
    "wafer_resnet": "stage4",
    "resnet18": "layer4",
    "efficientnet_b0": "conv_head",
    "vgg11_bn": "block5",
}


def planes_of(grid: np.ndarray, size: int) -> torch.Tensor:
    """Stretch a wafer to a square (nearest die), one plane for each die code."""
    square = interpolate(torch.from_numpy(grid)[None, None].float(), size=(size, size))
    planes = one_hot(square[0].long(), 3).permute(0, 3, 1, 2)
    return planes.float().contiguous(memory_format=torch.channels_last)


def seconds(work, clock) -> float:
    """Time one call."""
    start = clock()
    work()
    return clock() - start


def operations(work) -> int:
    """Count the additions and multiplications of one call."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def peak(dtype: torch.dtype, clock) -> float:
    """Return the operations a second of a matrix product."""
    matrix = torch.rand(2048, 2048).to(dtype)

    def product():
        return matrix @ matrix

    return operations(product) / min(seconds(product, clock) for _ in range(7))


def compare(name: str, method: str, where: str, images: torch.Tensor, rounds: int, clock) -> dict:
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
        activation_maps(net, images, layers, method=method, targets=codes, precision=precision)

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
    times = pd.DataFrame([{k: seconds(w, clock) for k, w in works.items()} for _ in range(rounds)])
    medians = times.median()
    speed = (len(images) / medians).round().astype(int)
    done = operations(works["ours, float32"]) / medians["ours, float32"]
    return {
        "net": name,
        "method": method,
        "layers": " ".join(layers),
        "of the peak, float32": round(done / peak(torch.float32, clock), 2),
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
    parser.add_argument(
        "--processor-time", action="store_true", help="for a busy machine, with one thread"
    )
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    wafers = make_wafer_maps(options.batch, random_state=0)
    images = torch.cat([planes_of(grid, options.size) for grid in wafers.maps])
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, numpy {np.__version__}")
    rows = [
        compare(name, method, options.layers, images, options.rounds, clock)
        for name in options.nets
        for method in PEERS
    ]
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
