"""Progress in a notebook, with a stand-in for IPython."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tledge.core import notebook
from tledge.core.notebook import NotebookProgress, html_table, in_notebook
from tledge.core.progress import Progress, progress_or_default

pytestmark = pytest.mark.unit


class Shown(list[str]):
    """What was displayed: the HTML of each state of each bar, in order."""

    def update(self, html: str) -> None:
        self.append(html)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """IPython in a notebook's kernel."""
    states = Shown()

    def display(html: str, *, display_id: bool) -> Shown:
        assert display_id
        states.append(html)
        return states

    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    ipython.display = ModuleType("IPython.display")
    ipython.display.HTML, ipython.display.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return states


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as its last item."""
    times = [100.0]
    monkeypatch.setattr(notebook.time, "monotonic", lambda: times[-1])
    return times


def test_bars_are_the_default_in_a_notebook_alone(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress_or_default(None), NotebookProgress)
    given = Progress()
    assert progress_or_default(given) is given
    for shell in (None, SimpleNamespace()):  # IPython is imported but not running, or in a terminal
        monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda shell=shell: shell)
        assert type(progress_or_default(None)) is Progress
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook()
    assert "IPython" not in sys.modules


def test_a_bar_shows_the_count_the_time_left_and_the_latest_figure(shown: Shown, clock: list[float]) -> None:
    with NotebookProgress().step("Fine-tune <1>", 1000, "photos") as step:
        assert shown == [
            '<div><b>Fine-tune &lt;1&gt;</b> <progress value="0" max="1000" aria-label="Fine-tune &lt;1&gt;">'
            "</progress> 0/1,000 photos</div>"
        ]
        clock.append(100.19)
        step.advance(100, "loss 1")
        assert len(shown) == 1, "at most five updates a second"
        clock.append(105.0)
        step.advance(150)
        assert 'value="250"' in shown[-1]
        assert "250/1,000 photos · 15 s left · loss 1<" in shown[-1]
        step.mark("epoch 1 < 2")
        assert "15 s left · epoch 1 &lt; 2<" in shown[-1]
        step.advance(750)
        assert "250/1,000" in shown[-1]
    assert "1,000/1,000 photos · epoch 1 &lt; 2<" in shown[-1]


def test_a_step_that_fails_shows_how_far_it_came(shown: Shown, clock: list[float]) -> None:
    with pytest.raises(KeyboardInterrupt), NotebookProgress().step("Work", 0, "photos") as step:
        step.advance(3)
        raise KeyboardInterrupt
    assert 'value="3" max="1"' in shown[-1]


def test_notes_and_warnings_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = NotebookProgress()
    progress.note("Data", "one")
    progress.note("", "two\n\x1b[2J")
    progress.warn("three")
    assert capsys.readouterr().out == "Data      one\n          two\\n\\x1b[2J\nwarning: three\n"


def test_a_table_escapes_its_texts() -> None:
    rows = [("<a>", "1 & 2")]
    assert html_table(rows) == '<table><tr><th style="text-align: left">&lt;a&gt;</th><td>1 &amp; 2</td></tr></table>'
    assert html_table(rows, headings=("x", "<y>")).startswith("<table><tr><th>x</th><th>&lt;y&gt;</th></tr><tr><td ")
    assert html_table([("a", "<", "c")] * 2, bold={(1, 1)}).count("<td><b>&lt;</b></td><td>c</td>") == 1
