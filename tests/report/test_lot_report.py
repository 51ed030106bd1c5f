"""The lot report: what is on the page, and that nothing in the data can run."""

import base64
import html
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import run
from PIL import Image

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.lots import lot_summary, yield_loss
from camdenoise.plotting import PALETTES
from camdenoise.report import lot_report
from camdenoise.stream import wafer_batch

NASTY = '"><script>document.title="run"</script><img src=x onerror=document.title="run">'


class Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def lot():
    return make_wafer_maps(9, classes=["Center", "Edge-Ring", "none"], random_state=0)


@pytest.fixture(scope="module")
def page(lot):
    keys = pd.DataFrame({"lot": "A7", "slot": range(1, 10)})
    denoiser = CamDenoiser.from_pretrained()
    return lot_report(denoiser, lot.maps, keys=keys, names=keys["slot"], title="Lot A7")


def csv_in(page):
    text = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)[1]
    return pd.read_csv(io.StringIO(html.unescape(text)))


def test_report_numbers_equal_the_lot_summary(page, lot):
    summary = lot_summary(CamDenoiser.from_pretrained(), lot.maps)
    loss = yield_loss(summary)
    for part in ("systematic", "random", "all"):
        assert f"<td>{100 * loss.loc[part, 'loss']:.2f} %</td>" in page
        assert f"<td>{loss.loc[part, 'n_dies']}</td>" in page
    assert f"<b>{100 * (1 - loss.loc['all', 'loss']):.1f} %</b>yield" in page
    table = csv_in(page)
    assert table["slot"].tolist() == list(range(1, 10)) and set(table["lot"]) == {"A7"}
    for name in ("n_fails", "n_kept", "n_removed", "predicted", "verdict"):
        assert table[name].tolist() == summary[name].tolist()


def test_report_shows_every_wafer_die_by_die(page, lot):
    cards = [attrs for attrs in Page(page).all("li") if "data-name" in attrs]
    assert [card["data-name"] for card in cards] == [str(slot) for slot in range(1, 10)]
    images = [attrs["src"] for attrs in Page(page).all("img") if "png" in attrs["src"]]
    assert len(images) == 18
    why = CamDenoiser.from_pretrained().explain(lot.maps)
    for row, grid in enumerate(lot.maps):
        pair = images[2 * row : 2 * row + 2]
        for source, removed in zip(pair, (0, why[row].random), strict=True):
            image = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
            np.testing.assert_array_equal(np.asarray(image), grid + removed)
            assert image.info["transparency"] == 0
            shown = np.asarray(image.convert("RGB"))[grid == 2][0]
            assert f"#{bytes(shown.tolist()).hex()}" in PALETTES["colorblind"].values()


def test_report_needs_no_network_and_no_other_file(page):
    parsed = Page(page)
    sources = [
        a.get("src") or a.get("href") for _, a in parsed.tags if a.get("src") or a.get("href")
    ]
    assert sources and all(source.startswith("data:") for source in sources)
    assert not parsed.all("link") and "http" not in re.sub(r"base64,[^\"]*", "", page)
    assert page == page.encode().decode() and len(page) < 5_000_000


def test_report_shows_unreadable_and_outlying_wafers():
    maps = [np.ones((12, 12), int) for _ in range(9)]
    for grid, n_fails in zip(maps, [10, 11, 12, 13, 10, 11, 12, 13, 60], strict=True):
        grid.flat[:n_fails] = 2
    maps.append(np.array([[7]]))
    page = lot_report(ComponentSizeFilter(on_error="keep"), maps)
    assert "value 7" in page and "<b>1</b>unreadable" in page
    outliers = [attrs["data-name"] for attrs in Page(page).all("li") if attrs.get("class")]
    assert outliers == ["8"] and csv_in(page)["outlier"].tolist() == [*[False] * 8, True, False]
    with pytest.raises(ValueError, match="No wafer"):
        lot_report(ComponentSizeFilter(on_error="keep"), maps[-1:])
    with pytest.raises(ValueError, match="names has 1 entries for 10"):
        lot_report(ComponentSizeFilter(on_error="keep"), maps, names=["a"])
    with pytest.raises(ValueError, match="palette must be one of"):
        lot_report(ComponentSizeFilter(), maps, palette="grey")


def test_report_of_a_lot_without_patterns_is_made():
    wafers = make_wafer_maps(5, classes=["none"], random_state=0)
    denoiser = CamDenoiser.from_pretrained()
    assert all(why.abstained for why in denoiser.explain(wafers.maps))
    page = lot_report(denoiser, wafers.maps)
    assert "random fails" in page and page.count("data:image/svg+xml") == 1
    assert "systematic, by pattern" not in page
    full = [np.full((9, 9), code, np.uint8) for code in (0, 1, 2)]
    assert len(Page(lot_report(denoiser, full)).all("img")) >= 6


def test_report_escapes_names_from_the_data():
    keys = pd.DataFrame({"lot": [NASTY] * 2, "slot": [NASTY, "</textarea>" + NASTY]})
    maps = [np.full((4, 4), 2), np.ones((4, 4), int)]
    page = lot_report(ComponentSizeFilter(), maps, keys=keys, names=keys["slot"], title=NASTY)
    parsed = Page(page)
    assert len(parsed.all("script")) == 1 and not [a for _, a in parsed.tags if "onerror" in a]
    assert csv_in(page)["slot"].tolist() == keys["slot"].tolist()
    assert NASTY in "".join(parsed.text)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_report_in_a_browser_runs_no_code_from_names(tmp_path):
    keys = pd.DataFrame({"slot": [NASTY, "b1", "b2"]})
    maps = [np.full((4, 4), 2), np.ones((4, 4), int), np.ones((5, 5), int)]
    page = lot_report(ComponentSizeFilter(), maps, names=keys["slot"], keys=keys, title="still")
    # As a user would: type into the filter.
    typed = """<script>document.getElementById("name").value = "B";
    document.getElementById("name").dispatchEvent(new Event("input"));</script></html>"""
    file = tmp_path / "lot.html"
    file.write_text(page.replace("</html>", typed))
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    browser += ["--disable-background-networking", "--disable-component-update"]
    browser += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{file}"]
    dom = subprocess.run(browser, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "<title>still</title>" in dom
    shown = [a["data-name"] for a in Page(dom).all("li") if "data-name" in a and "hidden" not in a]
    assert shown == ["b1", "b2"] and "2 of 3" in dom


@pytest.fixture(scope="module")
def file(lot, tmp_path_factory):
    path = tmp_path_factory.mktemp("lots") / "lots.parquet"
    keys = pd.DataFrame({"lot": ["A7"] * 6 + ["B1"] * 3, "slot": range(9)})
    columns = wafer_batch(lot.maps, keys)
    bad = wafer_batch([np.ones((1, 1), np.uint8)], pd.DataFrame({"lot": ["B1"], "slot": [9]}))
    bad = bad.set_column(4, "cells", pa.array([b""], pa.binary()))
    pq.write_table(pa.Table.from_batches([columns, bad]), path)
    return path


def test_report_command_writes_the_same_page(file, tmp_path):
    result = run("report", file, "--lot", "B1", "-o", tmp_path / "lot.html", "--palette", "fab")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["wafers"] == 4
    page = (tmp_path / "lot.html").read_text()
    assert "<h1>Lot B1</h1>" in page and PALETTES["fab"]["removed"] in page
    assert csv_in(page)["slot"].tolist() == [6, 7, 8, 9] and "<b>1</b>unreadable" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{file}"], "--out"),
        (["{file}", "-o", "{there}/a.html", "--lot", "C"], "of lot C; lots: A7, B1"),
        (["{there}/none", "-o", "{there}/a.html"], "no file or folder"),
        (["{file}", "-o", "{there}"], "is a folder. Give the name of a file in it"),
    ],
)
def test_report_command_gives_errors_in_one_line(file, tmp_path, arguments, said):
    result = run("report", *(text.format(file=file, there=tmp_path) for text in arguments))
    assert result.exit_code == 2 and said in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and not list(tmp_path.iterdir())


def test_report_command_refuses_a_history(file, tmp_path, monkeypatch):
    monkeypatch.setattr("camdenoise.cli._report._MOST_WAFERS", 5)
    result = run("report", file, "-o", tmp_path / "a.html")
    assert result.exit_code == 2 and "Choose one by --lot, such as A7, B1" in result.stderr


def test_report_command_makes_its_folder(file, tmp_path):
    result = run("report", file, "--lot", "B1", "-o", tmp_path / "new" / "lot.html")
    assert result.exit_code == 0 and (tmp_path / "new" / "lot.html").is_file()


def test_report_of_several_lots_names_the_lot(file, tmp_path):
    assert run("report", file, "-o", tmp_path / "lot.html").exit_code == 0
    page = Page((tmp_path / "lot.html").read_text())
    names = [attrs["data-name"] for attrs in page.all("li") if "data-name" in attrs]
    assert names[0] == "A7 0" and names[-1] == "B1 9"
