"""``visualize.html``: one file that opens from disk and loads nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from tledge.core import atomic
from tledge.core.environment import installed_versions
from tledge.core.html_text import html_text, shown_value
from tledge.visualize.section import Section

MOST_PICTURES = 12
"""Pictures of a section that a notebook shows."""

VERSIONS = ("tledge", "keras", "tensorflow", "jax", "numpy", "pillow", "scikit-learn")
"""Distributions whose versions the page gives."""


def write_page(sections: Mapping[str, Section], title: str, path: Path) -> None:
    """Writes all sections, keyed by kind, as one page that contains its pictures; ``title`` names the network."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tledge.visualize", "."),
        autoescape=True,
        finalize=shown_value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html").render(
        sections=sections,
        title=title,
        made=datetime.now(UTC),
        versions=installed_versions(VERSIONS),
        css=files("tledge.visualize").joinpath("page.css").read_text(encoding="utf-8"),
    )
    atomic.write_text(path, page)


def notebook_html(sections: Mapping[str, Section], title: str) -> str:
    """Returns the findings and pictures of all sections as HTML for a notebook."""
    parts = [f"<h3>{html_text(title)}: what the network sees</h3>"]
    for section in sections.values():
        parts.append(f"<h4>{html_text(section.title)}</h4>")
        parts += [f"<p>{html_text(sentence)}</p>" for sentence in section.sentences]
        for picture in section.pictures[:MOST_PICTURES]:
            caption = html_text(f"{picture.title}. {picture.caption}" if picture.title else picture.caption)
            parts.append(
                f'<figure><img src="{picture.data_uri}" alt="{caption}" style="max-width: 100%"><figcaption>{caption}'
                f" <code>{html_text(picture.file_name)}</code></figcaption></figure>"
            )
    return "\n".join(parts)
