"""What documents and docstrings show is run: on the bundled sample, as `clip.mp4` in an empty folder."""

from __future__ import annotations

import doctest
import json
import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

import save_avs
from save_avs._extras import models_folder
from save_avs.cli import make_program

ROOT = Path(__file__).parents[1]
SHOWN = [getattr(save_avs, name) for name in save_avs.__all__ if name != "__version__"]
DOCTESTS = [
    test
    for shown in SHOWN
    for test in doctest.DocTestFinder(recurse=False).find(shown, getattr(shown, "__name__", "?"))
    if test.examples
]
NOTEBOOK = ROOT / "examples" / "segment.ipynb"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    shutil.copy(models_folder() / "sample.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("example", DOCTESTS, ids=lambda test: test.name)
def test_docstring_example(example):
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert result.attempted and not result.failed


def test_main_functions_have_an_example():
    named = {test.name for test in DOCTESTS}
    assert {"load_model", "segment", "segment_arrays", "stream", "Predictor", "read_video_chunks"} <= named


@pytest.mark.slow
@pytest.mark.parametrize("document", ["README.md", "docs/guides/python.md"])
def test_python_blocks_of_document(document):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, document, "exec"), names)


@pytest.mark.slow
def test_watch_example_reports_the_sample(capsys):
    runpy.run_path(str(ROOT / "examples" / "watch.py"))["watch"]("clip.mp4")
    lines = capsys.readouterr().out.splitlines()
    assert lines and "sounding object in view" in lines[0]


def test_notebook_shows_what_its_cells_gave():
    """As `scripts/run_notebook.py` stores it: run once from top to bottom, without an error, and small."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert all(cell["outputs"] for cell in cells[2:])
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs)
    assert NOTEBOOK.stat().st_size < 2**20


@pytest.mark.exhaustive
def test_notebook_runs(place):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(place)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown)
    said = "".join(output.get("text", "") for output in shown)
    assert "in silence: 0.0%" in said and "with its sound: 0.0%" not in said
    assert (place / "runs" / "notebook" / "overlay.mp4").is_file()


def test_cluster_examples_name_options_that_exist():
    job = yaml.safe_load((ROOT / "examples/batch.kuberay.yaml").read_text())
    task = yaml.safe_load((ROOT / "examples/train.sky.yaml").read_text())
    slurm = ROOT / "examples/train.slurm"
    for script in (job["spec"]["entrypoint"], task["run"], task["setup"], slurm.read_text()):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:2] == ["save-avs", "batch"]
    command = get_command(make_program("batch")).commands["batch"]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options
    groups = [
        job["spec"]["rayClusterSpec"]["headGroupSpec"],
        *job["spec"]["rayClusterSpec"]["workerGroupSpecs"],
    ]
    images = {group["template"]["spec"]["containers"][0]["image"] for group in groups}
    assert images == {f"registry.example.org/save-avs:{save_avs.__version__}"}
