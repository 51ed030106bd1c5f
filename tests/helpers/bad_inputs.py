"""What people and other programs hand over by mistake: maps, collections, files, models.

Each entry has a name, so that a test that fails says which. `test_bad_inputs` hands every one to
every place that takes its kind.
"""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile

import map_files
import numpy as np
import pandas as pd
from file_contents import npy, npz, parquet, zipped
from scipy import sparse

GOOD = np.array([[0, 1, 1, 0], [1, 2, 2, 1], [1, 1, 2, 1]], np.uint8)


def _nested():
    grid = GOOD.tolist()
    grid[1][2] = [2]
    return grid


#: No wafer map, each for another reason.
MAPS = {
    "none": None,
    "a number": 7,
    "text": "wafer",
    "bytes": b"\x00\x01\x02",
    "a set": {0, 1, 2},
    "a dict": {"map": [[0, 1]]},
    "nothing": [],
    "an empty row": [[]],
    "no rows": np.empty((0, 4)),
    "no columns": np.empty((4, 0)),
    "one row of codes": [0, 1, 2],
    "a number as array": np.array(2),
    "a stack of maps": np.stack([GOOD, GOOD]),
    "a pixel too deep": _nested(),
    "rows of two lengths": [[0, 1], [2]],
    "a code too high": GOOD + np.uint8(1),
    "a bin number": np.where(GOOD == 2, 107, GOOD),
    "255 for no die": np.where(GOOD == 0, 255, GOOD),
    "minus one for no die": np.where(GOOD == 0, -1, GOOD.astype(int)),
    "half a die": GOOD * 0.5,
    "not a number": np.where(GOOD == 0, np.nan, GOOD),
    "infinite": np.where(GOOD == 0, np.inf, GOOD),
    "complex": GOOD * 1j,
    "dates": GOOD.astype("datetime64[s]"),
    "durations": GOOD.astype("timedelta64[s]"),
    "letters": np.array([["P", "F"], ["F", "P"]]),
    "letters as bytes": np.array([[b"1", b"F"]]),
    "objects": np.array([[None, 1], [2, object()]], dtype=object),
    "a record": np.array([[(1, 2.0)]], dtype="i4,f4"),
    "a huge number": [[10**400, 1]],
    "pass and fail by name": [["pass", "fail"]],
    "a function": len,
}

#: No collection of wafer maps.
COLLECTIONS = {
    "none": None,
    "a number": 7,
    "text": "lot",
    "bytes": b"lot",
    "a dict": {"a": GOOD},
    "nothing": [],
    "an empty array": np.empty((0, 3, 3)),
    "an empty Series": pd.Series([], dtype=object),
    "a number as array": np.array(3),
    "a row of numbers": np.array([0, 1, 2]),
    "a stack of stacks": np.zeros((2, 2, 3, 3)),
    "a sparse matrix": sparse.eye(3),
    "a table with a column of maps": pd.DataFrame({"map": [GOOD, GOOD]}),
    "a function": len,
    "a type": list,
}

#: Values of which few parameters take any.
PARAMETERS = {
    "an object": object(),
    "a word": "no such thing",
    "far below zero": -(10**9),
    "not a number": float("nan"),
    "a list": [],
    "a type": dict,
}

#: Options of commands that are none, or whose values are none. IN is a file of wafers.
OPTIONS = {
    "no command": ["melt"],
    "an option that is none": ["denoise", "IN", "OUT", "--speed", "9"],
    "no input": ["denoise"],
    "no output": ["denoise", "IN"],
    "three files": ["denoise", "IN", "OUT", "IN"],
    "parts of no rows": ["denoise", "IN", "OUT", "--part-rows", "0"],
    "parts of half a row": ["denoise", "IN", "OUT", "--part-rows", "0.5"],
    "no threads": ["denoise", "IN", "OUT", "--threads", "0"],
    "fewer than no threads": ["classify", "IN", "OUT", "--threads", "-2"],
    "threads by name": ["denoise", "IN", "OUT", "--threads", "all"],
    "no workers": ["denoise", "IN", "OUT", "--workers", "0"],
    "a scheduler that is nowhere": ["denoise", "IN", "OUT", "--scheduler", "nonsense"],
    "a scheduler of another kind": ["classify", "IN", "OUT", "--scheduler", "http://x:1"],
    "false alarms beyond one": ["denoise", "IN", "OUT", "--false-alarm-rate", "1.5"],
    "false alarms below zero": ["denoise", "IN", "OUT", "--false-alarm-rate", "-0.1"],
    "false alarms that are no number": ["denoise", "IN", "OUT", "--false-alarm-rate", "nan"],
    "false alarms in words": ["denoise", "IN", "OUT", "--false-alarm-rate", "few"],
    "novelty beyond one": ["denoise", "IN", "OUT", "--novelty-rate", "2"],
    "another rule for none": ["denoise", "IN", "OUT", "--no-pattern", "keep"],
    "a model that is nowhere": ["denoise", "IN", "OUT", "--model", "no/such.safetensors"],
    "a model that nobody made": ["classify", "IN", "OUT", "--model", "wm9"],
    "a model that is a folder": ["evaluate", "IN", "--model", "/"],
    "a model without a name": ["report", "IN", "-o", "OUT.html", "--model", ""],
    "bins without a number": ["denoise", "IN", "OUT", "--pass-bins", "1,,2"],
    "bins of nothing": ["info", "IN", "--pass-bins", ""],
    "another retest": ["denoise", "IN", "OUT", "--retest", "oldest"],
    "an unknown palette": ["report", "IN", "-o", "OUT.html", "--palette", "rainbow"],
    "a report to nowhere": ["report", "IN"],
    "a report into a file": ["report", "IN", "-o", "/dev/null/OUT.html"],
    "a lot that is not there": ["report", "IN", "-o", "OUT.html", "--lot", "B9"],
    "an unknown backbone": ["train", "IN", "OUT", "--backbone", "resnet18000"],
    "no epochs": ["train", "IN", "OUT", "--epochs", "0"],
    "epochs in words": ["train", "IN", "OUT", "--epochs", "many"],
    "a seed in words": ["train", "IN", "OUT", "--seed", "lucky"],
    "a seed below zero": ["train", "IN", "OUT", "--seed", "-1"],
    "a seed too large": ["train", "IN", "OUT", "--seed", str(2**40)],
    "a device that is none": ["train", "IN", "OUT", "--device", "abacus"],
    "a device that is not there": ["train", "IN", "OUT", "--device", "cuda:99"],
    "training without threads": ["train", "IN", "OUT", "--threads", "0"],
    "an input that is a folder": ["denoise", "/", "OUT"],
    "an input that is nowhere": ["info", "no/such/file"],
    "an input without a name": ["classify", "", "OUT"],
    "a name with a zero byte": ["info", "a\0b"],
    "a name too long": ["info", "x" * 500],
}

_WHOLE = map_files.SAMPLES


def _tar():
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        member = tarfile.TarInfo("../../escape.csv")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"x,y,b"))
    return sink.getvalue()


_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE Maps [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(
        b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10)
        for letter in range(ord("b"), ord("k"))
    )
    + b"]><Maps>&j;</Maps>"
)
_OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE Maps [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b"<Maps>&e;</Maps>"
)

#: Files that hold no wafers, or not as they say.
FILES = {
    "empty": b"",
    "blanks": b" \n\n\t",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "a word": b"hello",
    "a page": b"<!doctype html><html><body>Sign in</body></html>",
    "JSON": json.dumps({"maps": GOOD.tolist()}).encode(),
    "a pickle": pickle.dumps([GOOD]),
    "a pickle that runs something": b"\x80\x04cposix\nsystem\n(S'true'\ntR.",
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "PDF": b"%PDF-1.7\n" + bytes(64),
    "Excel": zipped(**{"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>"}),
    "an empty zip": zipped(),
    "a zip of text": zipped(**{"notes.txt": "hello"}),
    "a zip that climbs": zipped(**{"../../maps.npy": npy(GOOD)}),
    "half a zip": zipped(**{"lot.csv": "x,y,bin\n1,1,1\n" * 50})[:60],
    "gzip of nothing": gzip.compress(b""),
    "gzip of a word": gzip.compress(b"hello"),
    "gzip of zeros, large": gzip.compress(bytes(2**26)),
    "gzip in gzip": gzip.compress(gzip.compress(b"hello")),
    "gzip cut short": gzip.compress(_WHOLE["stdf"])[:-9],
    "bzip2": bz2.compress(_WHOLE["g85"]),
    "xz": lzma.compress(_WHOLE["g85"]),
    "a tar that climbs": _tar(),
    "a Parquet head": b"PAR1" + bytes(32),
    "a Parquet head and foot": b"PAR1" + bytes(32) + b"PAR1",
    "Parquet without columns of wafers": parquet(a=[1, 2], b=["x", "y"]),
    "half a Parquet file": parquet(cells=[b"\x01" * 4] * 99, rows=[2] * 99, cols=[2] * 99)[:300],
    "Parquet of cells alone": parquet(cells=[b"\x01" * 4]),
    "Parquet whose cells are numbers": parquet(cells=[1.5], rows=[2], cols=[2]),
    "Parquet whose rows are text": parquet(cells=[b"\x01" * 4], rows=["two"], cols=[2]),
    "Parquet of dies without a bin": parquet(x=[1], y=[1]),
    "npz without maps": npz(a=GOOD),
    "npz of objects": npz(cells=np.array([{"a": 1}], dtype=object)),
    "npz with a broken array": zipped(**{"cells.npy": b"\x93NUMPY\x01\x00junk"}),
    "npz with text": zipped(**{"cells.npy": "hello"}),
    "a table of other columns": b"a,b,c\n1,2,3\n",
    "a table without rows": b"lot,wafer,x,y,bin\n",
    "a table of words": b"lot,wafer,x,y,bin\nA,1,one,two,three\n",
    "a table with holes": b"lot,wafer,x,y,bin\nA,1,,,\n",
    "a table with fractions": b"lot,wafer,x,y,bin\nA,1,1.5,2,1\n",
    "a table with a far die": b"lot,wafer,x,y,bin\nA,1,0,0,1\nA,1,2000000000,0,1\n",
    "a table of two widths": b"lot,wafer,x,y,bin\nA,1,0,0,1,9,9,9\nA,1\n",
    "a word in UTF-16": "hello".encode("utf-16"),
    "a table with a zero byte": b"lot,wafer,x,y,bin\nA\x00,1,0,0\x00,1\n",
    "an XML bomb": _BOMB,
    "XML that reads a file": _OUTSIDE,
    "XML cut short": _WHOLE["g85"][:200],
    "XML of another kind": b"<?xml version='1.0'?><plist><dict/></plist>",
    "G85 without rows": _WHOLE["g85"].replace(b"<Row>", b"<Raw>").replace(b"</Row>", b"</Raw>"),
    "E142 of no size": _WHOLE["e142"].replace(b'X="3" Y="2"', b'X="0" Y="0"'),
    "E142 of a great size": _WHOLE["e142"].replace(b'X="3" Y="2"', b'X="999999" Y="999999"'),
    "SINF without rows": _WHOLE["sinf"].split(b"RowData")[0],
    "SINF of a great size": _WHOLE["sinf"].replace(b"ROWCT:2", b"ROWCT:999999999"),
    "KLARF cut short": _WHOLE["klarf12"][:150],
    "KLARF of words": _WHOLE["klarf12"].replace(b"0.5 -1 0 7", b"0.5 left up 7"),
    "STDF of one record": _WHOLE["stdf"][:6],
    "STDF cut short": _WHOLE["stdf"][: len(_WHOLE["stdf"]) // 2 + 1],
    "STDF whose record has no end": struct.pack("<HBBBB", 2, 0, 10, 2, 4) + b"\xff\xff\x05\x14",
    "STDF of another version": struct.pack("<HBBBB", 2, 0, 10, 2, 3),
}


def safetensors(header, body=b""):
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def model_files(whole):
    """Files that are no model; `whole` is one that is."""
    n_header = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + n_header])
    body = whole[8 + n_header :]

    def told(**changes):
        about = header["__metadata__"] | changes
        about = {name: text for name, text in about.items() if text is not None}
        return safetensors(header | {"__metadata__": about}, body)

    def without_weight():
        name = next(name for name in header if name != "__metadata__")
        return safetensors({k: v for k, v in header.items() if k != name}, body)

    def flipped(place):
        content = bytearray(whole)
        content[place] ^= 0x10
        return bytes(content)

    return {
        "empty": b"",
        "a word": b"hello",
        "zeros": bytes(1000),
        "a pickle": pickle.dumps({"weights": [1.0]}),
        "a zip, as torch saves": zipped(**{"archive/data.pkl": pickle.dumps({})}),
        "an ONNX head": b"\x08\x08\x12\x07pytorch",
        "a header longer than the file": struct.pack("<Q", 2**62),
        "a header that is no JSON": safetensors(b"{" * 50),
        "a header that is a list": safetensors([1, 2]),
        "no texts": safetensors({k: v for k, v in header.items() if k != "__metadata__"}, body),
        "nothing but texts": safetensors({"__metadata__": header["__metadata__"]}),
        "without a weight": without_weight(),
        "half": whole[: len(whole) // 2],
        "one byte less": whole[:-1],
        "one byte more": whole + b"\x00",
        "a bit of the weights flipped": flipped(-5),
        "a bit of the header flipped": flipped(40),
        "of another format": told(format="somebody.Else/1"),
        "of a later version": told(format="camdenoise.WaferClassifier/99"),
        "of version zero": told(format="camdenoise.WaferClassifier/0"),
        "without a format": told(format=None),
        "without a checksum": told(sha256=None),
        "of another checksum": told(sha256="0" * 64),
        "of other classes": told(classes=json.dumps(["a"])),
        "classes that are no JSON": told(classes="[Center"),
        "of a net that nobody knows": told(parameters=json.dumps({"backbone": "resnet18000"})),
        "of an unknown parameter": told(parameters=json.dumps({"colour": "red"})),
        "of a size below zero": told(parameters=json.dumps({"input_size": -64})),
        "of a width without end": told(parameters=json.dumps({"width": 10**9})),
        "a temperature of zero": told(temperature="0.0"),
        "a temperature that is no number": told(temperature="NaN"),
        "labels that are objects": told(dtype="|O"),
        "a history that is no JSON": told(history="{"),
        "a denoiser without parameters": told(format="camdenoise.CamDenoiser/1", denoiser="{}"),
        "a denoiser that is a list": told(format="camdenoise.CamDenoiser/1", denoiser="[]"),
    }
