"""Small wafer files of every format, written by hand, and STDF records."""

import struct

import pandas as pd
import pytest

from camdenoise.io import WaferFileError, read_wafers

G85 = """<?xml version="1.0" encoding="UTF-8"?>
<Maps>
  <Map WaferId="W1" FormatRevision="SEMI G85-1101">
    <Device LotId="L" BinType="Decimal" NullBin="255" Rows="2" Columns="3" OriginLocation="3">
      <Bin BinCode="1" BinQuality="Pass" BinCount="2"/>
      <Bin BinCode="007" BinQuality="Fail"/>
      <Data MapName="Map"><Row><![CDATA[255 001 007 ]]></Row><Row>001 255 012</Row></Data>
    </Device>
  </Map>
</Maps>
"""

E142 = """<?xml version="1.0" encoding="ISO-8859-1"?>
<MapData xmlns="urn:semi-org:xsd.E142-1.V1005.SubstrateMap">
 <Layouts>
  <Layout LayoutId="WaferMap" TopLevel="true"><Dimension X="1" Y="1" /></Layout>
  <Layout LayoutId="DIES"><Dimension X="3" Y="2" /></Layout>
 </Layouts>
 <Substrates><Substrate SubstrateType="Wafer" SubstrateId="W1"><LotId> L </LotId></Substrate>
 </Substrates>
 <SubstrateMaps>
  <SubstrateMap SubstrateType="Wafer" SubstrateId="W1" LayoutSpecifier="WaferMap/DIES"
    Orientation="180" OriginLocation="UpperRight" AxisDirection="DownLeft">
   <Overlay MapName="SortGrade" MapVersion="1">
    <BinCodeMap BinType="HexaDecimal" NullBin="FF" MapType="2DArray">
     <BinDefinitions>
      <BinDefinition BinCode="01" BinCount="2" BinQuality="Pass" />
      <BinDefinition BinCode=" 1f" BinQuality="Fail" />
      <BinDefinition BinCode="E0" BinQuality="Reference" />
      <BinDefinition BinCode="01" BinDescription="again, without quality" />
     </BinDefinitions>
     <BinCode> <![CDATA[FF011F]]> </BinCode><BinCode>01E0AA</BinCode>
    </BinCodeMap>
   </Overlay>
  </SubstrateMap>
 </SubstrateMaps>
</MapData>
"""

SINF = """DEVICE:D
LOT:L
WAFER:W1
FNLOC:180
ROWCT:2
COLCT:3
BCEQU:01
REFPX:6
DUTMS:mm
RowData:__ 01 1F
RowData:01 @@ 0A
"""

KLARF_12 = """FileVersion 1 2;
FileTimestamp 01-01-20 00:00:00;
LotID "L";
DeviceID "a; b";
WaferID "W1";
SampleTestPlan 4
  -1 0
  0 0
  1 0
  0 -1 ;
DefectRecordSpec 6 DEFECTID XREL XINDEX YINDEX CLASSNUMBER IMAGECOUNT ;
DefectList
 1 0.5 -1 0 7 0
 2 0.5 -1 0 7 2 1 0 2 0
 3 0.5 5 5 7 1
  1 0;
SummarySpec 2 TESTNO NDEFECT ;
SummaryList 1 3 ;
WaferID "W2";
SampleTestPlan 1 3 -4;
EndOfFile;
"""

KLARF_18 = """Record FileRecord  "1.8"
{
  Record LotRecord "L"
  {
    Record WaferRecord "W1"
    {
      Field DieOrigin 2 {0, 0}
      List DefectList
      {
        Columns 4 { int32 DEFECTID, int32 XINDEX, int32 YINDEX, ImageList IMAGEINFO }
        Data 3
        {
          1 -1 0 N;
          2 -1 0 Images 2 {"a.jpg" "JPG" 1, "b;}.jpg" "JPG" 2};
          3 5 5 N;
        }
      }
      Record TestRecord "1"
      {
        List SampleTestPlanList
        {
          Columns 2 { int32 XINDEX, int32 YINDEX }
          Data 4
          {
            -1 0; 0 0; 1 0;
            0 -1;
          }
        }
      }
    }
    Field DeviceID 1 {"aDevice"}
  }
}
EndOfFile;
"""


def record(kind, sub, body, order="<"):
    return struct.pack(f"{order}HBB", len(body), kind, sub) + body


def text(value):
    return bytes([len(value)]) + value.encode()


def far(order="<", version=4):
    return record(0, 10, bytes([2 if order == "<" else 1, version]), order)


def mir(lot="L", order="<", *, product="", start=0):
    head = struct.pack(f"{order}IIBcccHc", 0, start, 1, b"P", b" ", b" ", 65535, b" ")
    return record(1, 10, head + text(lot) + text(product) * bool(product), order)


def wir(wafer="W1", head=1, order="<", *, start=0):
    return record(2, 10, struct.pack(f"{order}BBI", head, 255, start) + text(wafer), order)


def wrr(wafer="", head=1, order="<", *, count=1):
    body = struct.pack(f"{order}BBIIIIII", head, 255, 0, count, 0, 0, 0, 0) + text(wafer)
    return record(2, 20, body, order)


def wcr(size=0, height=0, width=0, center=(-32768, -32768), *, way="DRU", order="<"):
    """A wafer configuration; `way` is WF_FLAT, POS_X and POS_Y."""
    body = struct.pack(f"{order}fffB", size, height, width, 3) + way[:1].encode()
    return record(2, 30, body + struct.pack(f"{order}hh", *center) + way[1:].encode(), order)


def prr(x, y, hard, *, flag=None, soft=65535, head=1, part="1", order="<"):
    flag = (0 if hard == 1 else 8) if flag is None else flag
    body = struct.pack(f"{order}BBBHHHhhI", head, 1, flag, 0, hard, soft, x, y, 0)
    return record(5, 20, body + text(part) + text("") + b"\0", order)


def pcr(count, head=255, site=0, order="<"):
    return record(1, 30, struct.pack(f"{order}BBI", head, site, count), order)


def bin_record(sub, number, quality, order="<", *, count=1, head=255, site=0):
    body = struct.pack(f"{order}BBHI", head, site, number, count) + quality.encode() + text("")
    return record(1, sub, body, order)


def mrr(order="<"):
    return record(1, 20, struct.pack(f"{order}I", 0), order)


def stdf(*parts, order="<", **header):
    """A whole file around some records; `header` goes to its MIR."""
    return b"".join([far(order), mir(order=order, **header), *parts, mrr(order)])


STDF = stdf(wir(), prr(-1, 3, 1), prr(0, 3, 7), prr(-1, 3, 5), wrr())

#: A small, sound file of each kind.
SAMPLES = {
    "g85": G85.encode(),
    "e142": E142.encode(),
    "sinf": SINF.encode(),
    "klarf12": KLARF_12.encode(),
    "klarf18": KLARF_18.encode(),
    "stdf": STDF,
}


def rows(table):
    """List the rows of a die table; None where it is not said whether a die passed."""
    return [
        (*row[:5], None if row[5] is pd.NA else row[5])
        for row in table.astype({"passed": object}).itertuples(index=False, name=None)
    ]


def message_of(path, read=read_wafers, **options):
    """Read a file that cannot be read; return what is said about it, without its name."""
    with pytest.raises(WaferFileError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: "), message
    return message[len(str(path)) + 2 :]
