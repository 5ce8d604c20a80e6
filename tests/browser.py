"""A page as Chromium shows it: opened from disk, in a frame of the width in question."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


@dataclass(frozen=True)
class Seen:
    """What the page found about itself, and what the browser's console says."""

    found: dict[str, Any]
    console: list[str]


def look(page: Path, folder: Path, width: int, *flags: str, script: str) -> Seen:
    """Opens a page in a frame and runs a script in it, which posts what it finds."""
    folder.mkdir()
    text = page.read_text(encoding="utf-8")
    (folder / "page.html").write_text(text.replace("</body>", f"<script>{{{script}}}</script></body>"))
    (folder / "outer.html").write_text(
        "<!DOCTYPE html><link rel='icon' href='data:,'><pre></pre><script>addEventListener('message',"
        " (event) => { document.querySelector('pre').textContent = event.data; });</script>"
        f"<iframe src='page.html' style='width: {width}px; height: 1000px; border: 0'></iframe>"
    )
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    command += [f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1100", "--virtual-time-budget=5000"]
    done = subprocess.run(
        [*command, *flags, "--dump-dom", (folder / "outer.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    posted = re.search(r"<pre>(.+?)</pre>", done.stdout, re.DOTALL)
    assert posted is not None, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Seen(json.loads(html.unescape(posted[1])), console)
