"""No line of the package asks for the network, whether at import or at work."""

import subprocess
import sys
from pathlib import Path

REFUSE = """
import os, socket, sys

def refuse(*arguments, **options):
    # Not an exception, which somebody could catch and go on without a word.
    sys.stderr.write("somebody asked for the network")
    sys.stderr.flush()
    os._exit(99)

class Refusing(socket.socket):
    connect = connect_ex = sendto = listen = refuse

socket.socket = Refusing
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse
"""

WORK = """
import sys, tempfile
from pathlib import Path
import matplotlib
matplotlib.use("Agg")
from click.testing import CliRunner
import camdenoise, camdenoise.datasets, camdenoise.faithfulness, camdenoise.features
import camdenoise.filters, camdenoise.io, camdenoise.leakage, camdenoise.learned, camdenoise.lots
import camdenoise.metrics, camdenoise.onnx, camdenoise.plotting
import camdenoise.report, camdenoise.similarity, camdenoise.stream
from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.cli import main
from camdenoise.datasets import make_wafer_maps, save_wafer_maps

wafers = make_wafer_maps(30, random_state=0)
# A net of timm, whose pretrained weights are never fetched.
small = {"input_size": 32, "max_epochs": 1, "random_state": 0}
clf = WaferClassifier("test_resnet", **small).fit(wafers.maps, wafers.target)
CamDenoiser(clf, random_state=0).fit(wafers.maps, wafers.target).transform(wafers.maps)
CamDenoiser.from_pretrained("wm811k").explain(wafers.maps)
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "lot.npz")
    save_wafer_maps(file, wafers.maps, wafers.target)
    for words in (
        ["denoise", file, Path(folder, "a"), "-q"],
        ["classify", file, Path(folder, "b"), "-q"],
        ["convert", file, Path(folder, "c.parquet")],
        ["report", file, "-o", Path(folder, "d.html")],
        ["train", file, Path(folder, "e"), "--backbone", "wafer_resnet", "--epochs", "1", "-q"],
        ["evaluate", file],
        ["info", "wm811k"],
    ):
        result = CliRunner().invoke(main, list(map(str, words)))
        assert result.exit_code == 0, (words[0], result.output, result.exception)
print("done")
"""


def run(text):
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )


def test_package_works_with_sockets_refused():
    done = run(REFUSE + WORK)
    assert done.returncode == 0 and done.stdout.strip() == "done", done.stderr[-2000:]


def test_socket_refusal_ends_the_process():
    done = run(REFUSE + "import urllib.request as r; r.urlopen('http://127.0.0.1:9')")
    assert done.returncode == 99 and "somebody asked for the network" in done.stderr
