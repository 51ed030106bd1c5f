"""One wafer in every format, each in the coordinates that its format counts in."""

import lswmd_pickles
import map_files
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from camdenoise.datasets import save_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.stream import denoise_batches, wafer_batch, write_parts

ROWS, COLS = 17, 21


def grid():
    """A wafer whose ring lies at the upper right, so that no turned or mirrored map is the same."""
    y, x = np.mgrid[:ROWS, :COLS]
    down, right = (y - 8) / 8.5, (x - 10) / 10.5
    radius = np.hypot(down, right)
    made = np.where(radius <= 1, 1, 0)
    made[(radius <= 1) & (radius > 0.7) & (right > 0) & (down < 0.3)] = 2
    made[[8, 12], [4, 7]] = 2
    return made.astype(np.uint8)


GRID = grid()
_ROW, _COL = np.nonzero(GRID)
_FAILS = GRID[_ROW, _COL] == 2
#: Coordinates that count to the right and up, from another origin than 0.
_X, _Y = _COL - 7, ROWS - 1 - _ROW - 4


def stdf(order="<", lot="A", wafer="W1", part=slice(None)):
    parts = [
        map_files.prr(int(x), int(y), 7 if fails else 1, part=str(n), order=order)
        for n, (x, y, fails) in enumerate(zip(_X[part], _Y[part], _FAILS[part], strict=True))
    ]
    count = len(parts)
    return map_files.stdf(
        map_files.wcr(way="DRU", order=order),
        map_files.wir(wafer, order=order),
        *parts,
        map_files.wrr(wafer, order=order, count=count),
        order=order,
        lot=lot,
    )


def atdf():
    parts = [
        f"PRR:1|1|{n}|1|{'F' if fails else 'P'}|{7 if fails else 1}||{x}|{y}\n"
        for n, (x, y, fails) in enumerate(zip(_X, _Y, _FAILS, strict=True))
    ]
    head = "FAR:A|4|2|U\nMIR:A|CHIP\nWCR:D|R|U\nWIR:1|||W1\n"
    return (head + "".join(parts) + "MRR:\n").encode()


def _drawn(symbols, separator=""):
    return [separator.join(symbols[code] for code in row) for row in GRID]


def g85():
    rows = "".join(f"<Row>{row}</Row>" for row in _drawn(["FF", "01", "07"]))
    return f"""<Map WaferId="W1" FormatRevision="SEMI G85-1101"><Device LotId="A"
    BinType="HexaDecimal" NullBin="FF" Rows="{ROWS}" Columns="{COLS}" OriginLocation="3"
    Orientation="0"><Bin BinCode="01" BinQuality="Pass"/><Bin BinCode="07" BinQuality="Fail"/>
    <Data>{rows}</Data></Device></Map>""".encode()


def g85_text():
    rows = "\n".join(_drawn(".17"))
    return f"""WAFER_MAP = {{
WAFER_ID = "W1"
MAP_TYPE = "ASCII"
NULL_BIN = "."
ROWS = {ROWS}
COLUMNS = {COLS}
FLAT_NOTCH = 0
LOT_ID = "A"
BIN = "1" {(GRID == 1).sum()} "Pass" ""
BIN = "7" {(GRID == 2).sum()} "Fail" ""
MAP = {{
{rows}
}}
}}
""".encode()


def e142(*, coordinates=False):
    if coordinates:
        kind = "Coordinate"
        dies = zip(_COL, ROWS - 1 - _ROW, _FAILS, strict=True)
        codes = "".join(
            f'<BinCode X="{x}" Y="{y}">{"07" if bad else "01"}</BinCode>' for x, y, bad in dies
        )
    else:
        kind = "2DArray"
        codes = "".join(f"<BinCode>{row}</BinCode>" for row in _drawn(["FF", "01", "07"]))
    return f"""<MapData xmlns="urn:semi-org:xsd.E142-1.V1005.SubstrateMap"><Layouts>
    <Layout LayoutId="DIES"><Dimension X="{COLS}" Y="{ROWS}"/></Layout></Layouts><Substrates>
    <Substrate SubstrateType="Wafer" SubstrateId="W1"><LotId>A</LotId></Substrate></Substrates>
    <SubstrateMaps><SubstrateMap SubstrateType="Wafer" SubstrateId="W1" LayoutSpecifier="DIES"
    Orientation="0" OriginLocation="LowerLeft" AxisDirection="UpRight"><Overlay MapName="Bins">
    <BinCodeMap BinType="HexaDecimal" NullBin="FF" MapType="{kind}"><BinDefinitions>
    <BinDefinition BinCode="01" BinQuality="Pass"/><BinDefinition BinCode="07" BinQuality="Fail"/>
    </BinDefinitions>{codes}</BinCodeMap></Overlay></SubstrateMap></SubstrateMaps></MapData>
    """.encode()


def sinf():
    rows = "\n".join(f"RowData:{row}" for row in _drawn(["__", "01", "07"], " "))
    return f"""DEVICE:D
LOT:A
WAFER:W1
FNLOC:180
ROWCT:{ROWS}
COLCT:{COLS}
BCEQU:01
{rows}
""".encode()


def klarf_12():
    plan = "\n".join(f"  {x} {y}" for x, y in zip(_X, _Y, strict=True))
    fails = zip(_X[_FAILS], _Y[_FAILS], strict=True)
    defects = "\n".join(f" {n} {x} {y}" for n, (x, y) in enumerate(fails, 1))
    return f"""FileVersion 1 2;
LotID "A";
DeviceID "D";
SampleOrientationMarkType NOTCH;
OrientationMarkLocation DOWN;
WaferID "W1";
SampleTestPlan {len(_X)}
{plan};
DefectRecordSpec 3 DEFECTID XINDEX YINDEX;
DefectList
{defects};
SummarySpec 3 TESTNO NDEFECT NDIE;
SummaryList 1 {_FAILS.sum()} {len(_X)};
EndOfFile;
""".encode()


def klarf_18():
    plan = " ".join(f"{x} {y};" for x, y in zip(_X, _Y, strict=True))
    fails = zip(_X[_FAILS], _Y[_FAILS], strict=True)
    defects = " ".join(f"{n} {x} {y};" for n, (x, y) in enumerate(fails, 1))
    return f"""Record FileRecord "1.8" {{
 Record LotRecord "A" {{
  Field DeviceID 1 {{"D"}}
  Field SampleOrientationMarkType 1 {{"NOTCH"}}
  Field OrientationMarkLocation 1 {{"DOWN"}}
  Record WaferRecord "W1" {{
   List DefectList {{ Columns 3 {{ int32 DEFECTID, int32 XINDEX, int32 YINDEX }}
    Data {_FAILS.sum()} {{ {defects} }} }}
   Record TestRecord "1" {{
    List SampleTestPlanList {{ Columns 2 {{ int32 XINDEX, int32 YINDEX }}
     Data {len(_X)} {{ {plan} }} }}
   }}
  }}
 }}
}}
EndOfFile;
""".encode()


def die_frame():
    """Dies as a script would list them: y downwards, as is assumed where nobody says."""
    bins = np.where(_FAILS, 7, 1)
    return pd.DataFrame({"lot": "A", "wafer": "W1", "x": _COL, "y": _ROW, "bin": bins})


def csv():
    return die_frame().to_csv(index=False).encode()


def csv_of_excel():
    """Semicolons, tester's names, UTF-16."""
    names = {"lot": "Lot ID", "wafer": "WAFER_ID", "x": "X_COORD", "y": "Y_COORD", "bin": "HBIN"}
    return die_frame().rename(columns=names).to_csv(index=False, sep="\t").encode("utf-16")


#: Files with a row per die, in bytes.
DIE_FILES = {
    "stdf": stdf,
    "stdf of a Sun": lambda: stdf(">"),
    "atdf": atdf,
    "g85": g85,
    "g85 text": g85_text,
    "e142": e142,
    "e142 coordinates": lambda: e142(coordinates=True),
    "sinf": sinf,
    "klarf 1.2": klarf_12,
    "klarf 1.8": klarf_18,
    "csv": csv,
    "csv of Excel": csv_of_excel,
}


def _batch():
    return wafer_batch([GRID], pd.DataFrame({"lot": ["A"], "wafer": ["W1"]}))


def write_table(path):
    pq.write_table(pa.Table.from_batches([_batch()]), path)


def write_dies(path):
    die_frame().to_parquet(path)


def write_npz(path):
    save_wafer_maps(path, [GRID], ["Edge-Loc"], lot=["A"])


def write_pickle(path):
    wafers = lswmd_pickles.some_wafers(3)
    with open(path, "wb") as stream:
        lswmd_pickles.write_kaggle(stream, wafers)


def write_results(path):
    keep_large = ComponentSizeFilter(min_size=3)
    write_parts(path, [_batch()], lambda batches: denoise_batches(batches, keep_large))


#: Files that are written by a library, and a folder.
WRITERS = {
    "a row per wafer": write_table,
    "parquet of dies": write_dies,
    "npz": write_npz,
    "pickle": write_pickle,
    "results": write_results,
}
KINDS = [*DIE_FILES, *WRITERS]


def write(kind, path):
    """Write the wafer in a format; the name of the file says nothing."""
    if kind in DIE_FILES:
        path.write_bytes(DIE_FILES[kind]())
    elif kind == "npz":
        write_npz(path.with_suffix(".npz"))
        path.with_suffix(".npz").rename(path)
    else:
        WRITERS[kind](path)
    return path
