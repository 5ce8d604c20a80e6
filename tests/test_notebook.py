"""The lesson runs from top to bottom, and is kept with the outputs of a run."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial" / "transfer_learning.ipynb"
SECONDS_PER_CELL = 600


def read() -> Any:
    return json.loads(NOTEBOOK.read_text())


def outputs(notebook: Any) -> list[list[str]]:
    """The kinds of output of each code cell: "stream", "text/html", "image/png"."""
    return [
        sorted({kind for output in cell["outputs"] for kind in output.get("data", {output["output_type"]: None})})
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


@pytest.mark.unit
def test_the_lesson_is_kept_with_outputs_that_github_shows() -> None:
    notebook = read()
    kept = outputs(notebook)
    assert sum("text/html" in kinds for kinds in kept) >= 8, "records and pictures are shown"
    assert not any("error" in kinds for kinds in kept)
    streams = [output for cell in notebook["cells"] for output in cell.get("outputs", ()) if "name" in output]
    assert {output["name"] for output in streams} == {"stdout"}, "what libraries print"
    assert not re.search(r"/(home|root|Users|work)/", json.dumps(notebook)), "a path of the machine that ran it"
    assert NOTEBOOK.stat().st_size < 2_000_000


@pytest.mark.slow
def test_the_lesson_runs_from_top_to_bottom(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kept = outputs(notebook)
    nbclient.NotebookClient(
        notebook, timeout=SECONDS_PER_CELL, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert [set(old) <= set(new) for old, new in zip(kept, outputs(notebook), strict=True)] == [True] * len(kept)
