"""Reports: the same numbers in Markdown and CSV, and images as PNG."""

from __future__ import annotations

import csv

import pytest
from matplotlib.figure import Figure
from PIL import Image

from save_avs.errors import UsageError
from save_avs.metrics.bootstrap_and_permutation import Estimate
from studies.report import Chart, StudyReport, Table

ROWS = (
    ("both <1>", Estimate(0.61234, 0.59, 0.631, 900), 1_234_567, 3.25, None),
    ("a|b", None, 12, 45.678, float("nan")),
)


@pytest.fixture
def report() -> StudyReport:
    figure = Figure(figsize=(3, 2))
    figure.add_subplot().plot([1, 2], [3, 4], label="curve")
    return StudyReport(
        name="toys",
        title="Toys",
        question="Which is best?",
        setting={"machine": "a box", "seeds": "0, 1"},
        text=("First words.", "More words."),
        tables=(Table("runs", "All runs", ("variant", "mIoU", "weights", "ms", "p"), ROWS),),
        charts=(Chart("cost", "Quality and cost", figure),),
    )


def test_save_writes_markdown_csv_and_images(report, tmp_path):
    folder = report.save(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {"report.md", "runs.csv", "images"}
    text = (folder / "report.md").read_text()
    assert "| both <1> | 0.612 [0.590, 0.631] | 1,234,567 | 3.250 | – |" in text
    assert "| a\\|b | – | 12 | 45.7 | – |" in text
    assert (
        "![Quality and cost](images/cost.png)" in text and "* seeds: 0, 1" in text and "More words." in text
    )
    rows = list(csv.DictReader((folder / "runs.csv").read_text().splitlines()))
    assert float(rows[0]["mIoU"]) == 0.61234 and rows[0]["mIoU count"] == "900" and rows[1]["mIoU high"] == ""
    with Image.open(folder / "images" / "cost.png") as image:
        assert image.width > 300


def test_equal_reports_give_equal_files(report, tmp_path):
    one, other = (report.save(tmp_path / name) for name in ("one", "other"))
    for path in (p for p in one.rglob("*") if p.is_file()):
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes()


def test_save_replaces_a_report_only_with_overwrite(report, tmp_path):
    report.save(tmp_path / "out")
    (tmp_path / "out" / "left-over.txt").touch()
    with pytest.raises(UsageError, match="exists"):
        report.save(tmp_path / "out")
    report.save(tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "left-over.txt").exists()


def test_table_refuses_a_row_of_another_length():
    with pytest.raises(ValueError, match="2 cells"):
        Table("s", "S", ("a", "b"), (("only",),))
