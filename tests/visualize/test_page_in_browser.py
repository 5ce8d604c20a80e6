"""The page as Chromium shows it, in a frame of a phone's width and of a screen's."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tledge.core.run_directory import RunDirectory
from tledge.visualize import visualize

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NARROW, WIDE = 390, 1240

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]

INSPECT = """
addEventListener("load", () => parent.postMessage(JSON.stringify({
  width: innerWidth,
  scrolled: document.documentElement.scrollWidth,
  unseen: [...document.images].filter(
    (image) => !image.naturalWidth || image.getBoundingClientRect().width < 40).length,
  images: document.images.length,
  wider: [...document.images].filter((image) => image.getBoundingClientRect().right > innerWidth).length,
  loaded: performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => !/^data:/.test(name)),
  small: [...document.querySelectorAll("figcaption, td, p")].filter(
    (part) => parseFloat(getComputedStyle(part).fontSize) < 12).length,
}), "*"));
"""


@pytest.fixture(scope="module")
def page(faint_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return visualize(run=faint_run.path, output=tmp_path_factory.mktemp("page"), steps=24).page


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_all_pictures_are_seen_and_none_is_wider_than_the_page(width: int, page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8").replace(
        "default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';"
    )
    (tmp_path / "inner.html").write_text(text.replace("</body>", f"<script>{INSPECT}</script></body>"))
    (tmp_path / "outer.html").write_text(
        "<!DOCTYPE html><pre></pre><script>addEventListener('message', (event) => {"
        " document.querySelector('pre').textContent = event.data; });</script>"
        f"<iframe src='inner.html' style='width: {width}px; height: 1000px; border: 0'></iframe>"
    )
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1100"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run(
        [*command, (tmp_path / "outer.html").as_uri()], capture_output=True, text=True, timeout=180, check=True
    )
    posted = re.search(r"<pre>(.+?)</pre>", done.stdout, re.DOTALL)
    assert posted is not None, done.stderr[-2000:]
    found = json.loads(html.unescape(posted[1]))
    assert found["width"] == width
    assert found["scrolled"] <= width
    assert found["images"] > 40
    assert found["unseen"] == found["wider"] == found["small"] == 0
    assert found["loaded"] == []
