"""SEMI map files of rows, bins and fields: G85 as XML, G85 as text, E142."""

import numpy as np


def g85(lines, bins, *, null=".", size=None, kind="Ascii", device="", wafer="W1"):
    """Write G85 as XML; `bins` holds (code, quality, count) each, None where not stated."""
    if size:
        device += f' Rows="{size[0]}" Columns="{size[1]}"'
    if null is not None:
        device += f' NullBin="{null}"'
    defined = "".join(f"<Bin {_bin(*each)}/>" for each in bins)
    body = "".join(f"<Row><![CDATA[{line}]]></Row>" for line in lines)
    return (
        f'<Map WaferId="{wafer}"><Device LotId="L" BinType="{kind}"{device}>{defined}'
        f"<Data>{body}</Data></Device></Map>"
    )


def e142(lines, bins, *, null=".", size=None, kind="Ascii", attributes="", **more):
    """Write E142; `more` are attributes of the map, a child of the layout and of the substrate."""
    null = "" if null is None else f' NullBin="{null}"'
    side = f'<Dimension X="{size[1]}" Y="{size[0]}"/>' if size else ""
    defined = "".join(f"<BinDefinition {_bin(*each)}/>" for each in bins)
    body = "".join(f"<BinCode>{line}</BinCode>" for line in lines)
    return f"""<MapData xmlns="urn:semi-org:xsd.E142-1.V1005.SubstrateMap"><Layouts>
    <Layout LayoutId="A">{side}{more.get("layout", "")}</Layout></Layouts><Substrates>
    <Substrate SubstrateId="W1"><LotId>L</LotId>{more.get("substrate", "")}</Substrate>
    </Substrates><SubstrateMaps>
    <SubstrateMap SubstrateId="W1" LayoutSpecifier="X/A" {attributes}><Overlay MapName="m">
    <BinCodeMap BinType="{kind}"{null} {more.get("map_type", "")}>
    <BinDefinitions>{defined}</BinDefinitions>{more.get("codes", body)}</BinCodeMap></Overlay>
    </SubstrateMap></SubstrateMaps></MapData>"""


def g85_text(lines, bins, *, null=".", size=None, kind="Ascii"):
    """Write G85 as text."""
    head = ['WAFER_ID = "W1"', 'LOT_ID = "L"', f'MAP_TYPE = "{kind}"']
    if null is not None:
        head.append(f'NULL_BIN = "{null}"')
    if size:
        head += [f"ROWS = {size[0]}", f"COLUMNS = {size[1]}"]
    for code, quality, count in bins:
        head.append(f'BIN = "{code}" {"" if count is None else count} "{quality or ""}" ""')
    return "\n".join(["WAFER_MAP = {", *head, "MAP = {", *lines, "}", "}", ""])


def _bin(code, quality, count):
    text = f'BinCode="{code}"'
    text += "" if quality is None else f' BinQuality="{quality}"'
    return text + ("" if count is None else f' BinCount="{count}"')


FIVE = [".11.", "1X11"]


# --- letters and blanks -------------------------------------------------------------------------

LETTERS = [("1", "Pass", None), ("X", "Fail", None)]


def drawn(table):
    """Draw a die table as letters, with a dot where no die is."""
    box = np.full((table["y"].max() + 1, table["x"].max() + 1), ".")
    box[table["y"], table["x"]] = table["bin"]
    return ["".join(row) for row in box]


def points(*dies):
    return "".join(f'<BinCode X="{x}" Y="{y}">{code}</BinCode>' for x, y, code in dies)
