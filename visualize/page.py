"""``visualize.html``: one file that opens from disk and loads nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from tledge.core import atomic
from tledge.core.environment import installed_versions
from tledge.visualize.section import Section

VERSIONS = ("tledge", "keras", "tensorflow", "jax", "numpy", "pillow", "scikit-learn")
"""Distributions whose versions the page gives."""


def write_page(sections: Mapping[str, Section], title: str, path: Path) -> None:
    """Writes all sections, keyed by kind, as one page that contains its pictures; ``title`` names the network."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tledge.visualize", "."),
        autoescape=True,
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
