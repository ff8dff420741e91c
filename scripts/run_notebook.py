"""Run examples/segment.ipynb and store its outputs in it, images with 256 colors to keep the file small.

python scripts/run_notebook.py
"""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path

import nbclient
import nbformat
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "examples" / "segment.ipynb"


def shrink(png: str) -> str:
    """Reduce a PNG, in base64, to 256 colors."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        small = io.BytesIO()
        image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT).save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def main() -> None:
    """Run the cells in an empty folder, and write the notebook with what they showed."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = shrink(output.data["image/png"])
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
