"""``visualize.html``: one file that opens from disk and loads nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from tledge.core import atomic
from tledge.visualize.pictures import Animation, Grid
from tledge.visualize.section import Section


@dataclass(frozen=True)
class PageFacts:
    """Facts in the head and foot of the page.

    Attributes:
        title: name of the network.
        made: time of creation.
        versions: library versions by name.
    """

    title: str
    made: datetime
    versions: Mapping[str, str]


def write_page(sections: Mapping[str, Section], facts: PageFacts, path: Path) -> None:
    """Writes all sections, keyed by kind, as one page that contains its pictures."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tledge.visualize", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = files("tledge.visualize").joinpath("page.css").read_text(encoding="utf-8")
    page = environment.get_template("page.html").render(
        sections=sections,
        facts=facts,
        made=f"{facts.made:%Y-%m-%d %H:%M} UTC",
        css=css,
        is_grid=lambda picture: isinstance(picture, Grid),
        is_animation=lambda picture: isinstance(picture, Animation),
    )
    atomic.write_text(path, page)
