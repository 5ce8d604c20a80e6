"""The files of a report: as many as the installed libraries can write."""

from __future__ import annotations

from tledge.bench.report.html import write_html
from tledge.bench.report.markdown import write_markdown
from tledge.bench.results.stored_results import StoredResults
from tledge.core.extras import is_installed
from tledge.core.progress import Progress


def write_reports(data: StoredResults, progress: Progress) -> None:
    """Writes ``report.md``, and ``report.html`` if jinja2 is installed; a note says so if it is not.

    Raises:
        OSError: the folder of the results cannot be written to.
    """
    write_markdown(data, data.folder.markdown)
    if is_installed("jinja2"):
        write_html(data, data.folder.html)
    else:
        progress.note("Report", "report.html needs jinja2: pip install 'tledge[bench]'")
