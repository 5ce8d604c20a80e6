"""What a benchmark leaves for people: ``report.html``, which opens from disk with no network, and ``report.md``."""

from tledge.bench.report.conclusions import conclude
from tledge.bench.report.data import ReportData, load
from tledge.bench.report.html import write_html
from tledge.bench.report.markdown import write_markdown

__all__ = ["ReportData", "conclude", "load", "write_html", "write_markdown"]
