"""What a benchmark leaves for people: ``report.html``, which opens from disk with no network, and ``report.md``."""

from tledge.bench.report.conclusions import conclude
from tledge.bench.report.html import write_html
from tledge.bench.report.markdown import write_markdown
from tledge.bench.report.report_data import ReportData, load_report_data

__all__ = ["ReportData", "conclude", "load_report_data", "write_html", "write_markdown"]
