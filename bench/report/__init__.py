"""The reports of a benchmark: ``report.html``, which opens from disk without a network, and ``report.md``."""

from tledge.bench.report.conclusions import conclude
from tledge.bench.report.html import write_html
from tledge.bench.report.markdown import write_card_section, write_markdown

__all__ = ["conclude", "write_card_section", "write_html", "write_markdown"]
