"""What a study's report writes: the same figures in HTML, Markdown, CSV and JSON."""

from __future__ import annotations

import base64
import csv
import json
import re
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure as Drawing
from PIL import Image

from save_avs.errors import UsageError
from save_avs.metrics.bootstrap import Estimate
from studies.report import Chart, Sheet, StudyReport

ROWS = (
    ("both <1>", Estimate(0.61234, 0.59, 0.631, 900), 1_234_567, 3.25, None),
    ("a|b", None, 12, 45.678, float("nan")),
)


@pytest.fixture
def report() -> StudyReport:
    drawing = Drawing(figsize=(3, 2))
    drawing.add_subplot().plot([1, 2], [3, 4], label="curve")
    drawing.axes[0].set_xlabel("milliseconds")
    return StudyReport(
        name="toys",
        title="Toys",
        question="Which is best?",
        setting={"machine": "a box", "seeds": "0, 1"},
        text=("First words.", "More words."),
        sheets=(Sheet("runs", "All runs", ("variant", "mIoU", "weights", "ms", "p"), ROWS),),
        charts=(Chart("cost", "Cost beside quality", drawing),),
    )


def test_every_document_says_the_same(report, tmp_path):
    folder = report.save(tmp_path / "out")
    names = {"report.html", "report.md", "report.json", "runs.csv", "pictures"}
    assert {path.name for path in folder.iterdir()} == names
    text = (folder / "report.md").read_text()
    assert "| both <1> | 0.612 [0.590, 0.631] | 1,234,567 | 3.250 | – |" in text
    assert "| a\\|b | – | 12 | 45.7 | – |" in text
    assert "![Cost beside quality](pictures/cost.png)" in text and "* seeds: 0, 1" in text
    page = (folder / "report.html").read_text()
    assert "both &lt;1&gt;" in page and "0.612 [0.590, 0.631]" in page and "More words." in page
    rows = list(csv.DictReader((folder / "runs.csv").open()))
    assert float(rows[0]["mIoU"]) == 0.61234 and rows[0]["mIoU count"] == "900" and rows[1]["mIoU high"] == ""
    document = json.loads((folder / "report.json").read_text())
    cells = document["sheets"]["runs"]["rows"]
    assert cells[0]["mIoU"] == {"mean": 0.61234, "low": 0.59, "high": 0.631, "count": 900}
    assert cells[1]["p"] is None and document["setting"] == dict(report.setting)


def test_pictures_are_inlined_and_saved(report, tmp_path):
    folder = report.save(tmp_path / "out")
    page = (folder / "report.html").read_text()
    (picture,) = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)
    assert "milliseconds" in " ".join(ElementTree.fromstring(base64.b64decode(picture)).itertext())
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert Image.open(folder / "pictures" / "cost.png").size[0] > 300


def test_equal_reports_are_equal_files(report, tmp_path):
    one, other = (report.save(tmp_path / name) for name in ("one", "other"))
    for path in (p for p in one.rglob("*") if p.is_file()):
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes()


def test_a_report_that_is_there_is_replaced_only_when_asked(report, tmp_path):
    report.save(tmp_path / "out")
    (tmp_path / "out" / "left-over.txt").touch()
    with pytest.raises(UsageError, match="exists"):
        report.save(tmp_path / "out")
    report.save(tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "left-over.txt").exists()


def test_a_row_that_does_not_fit_its_columns_is_refused():
    with pytest.raises(ValueError, match="2 cells"):
        Sheet("s", "S", ("a", "b"), (("only",),))
