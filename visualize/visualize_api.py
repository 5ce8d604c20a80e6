"""Shows what a network sees: from options to pictures, a page and figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tledge.core import atomic
from tledge.core.errors import DataError, ModelError, OptionError
from tledge.core.extras import require
from tledge.core.folder_contents import replacing_contents
from tledge.core.options import as_tuple, check_used, takes
from tledge.core.progress import Progress, progress_or_default
from tledge.core.run_directory import find_run
from tledge.core.temporary_files import check_writable
from tledge.visualize.kind import KINDS, Kind
from tledge.visualize.page import notebook_html, write_page
from tledge.visualize.pictures import Picture
from tledge.visualize.pretrained import IMAGENET, model_of_backbone
from tledge.visualize.section import Section
from tledge.visualize.visualize_options import VisualizeOptions
from tledge.visualize.visualized_model import VisualizedModel, model_of_run

SCHEMA_VERSION = 1
FOLDER = "visualize"
PAGE, FIGURES = "visualize.html", "visualize.json"


@dataclass(frozen=True, kw_only=True)
class VisualizeRecord:
    """What was written.

    Attributes:
        title: name of the model.
        folder: the folder of the files.
        page: ``visualize.html``.
        figures: ``visualize.json``, the same as ``to_dict``.
        sections: what each kind shows, by its name.
        files: the pictures, in order.
        left_out: why a kind was skipped, by its name; only without named kinds, which are never skipped.
        options: the options of each kind, by its name.
    """

    title: str
    folder: Path
    page: Path
    figures: Path
    sections: Mapping[str, Section] = field(repr=False)
    files: Sequence[Path] = field(repr=False)
    left_out: Mapping[str, str]
    options: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def _repr_html_(self) -> str:
        """The findings and pictures, as Jupyter shows them."""
        return notebook_html(self.sections, self.title)

    def to_dict(self) -> dict[str, Any]:
        """Returns a dictionary that JSON can hold."""
        return {
            "schema_version": SCHEMA_VERSION,
            "title": self.title,
            "page": str(self.page),
            "files": [str(path) for path in self.files],
            "figures": {name: section.figures for name, section in self.sections.items()},
            "left_out": dict(self.left_out),
            "options": {name: dict(own) for name, own in self.options.items()},
        }


@takes(VisualizeOptions)
def visualize(options: VisualizeOptions) -> VisualizeRecord:
    """Shows what a network sees: pictures, a page that holds them all, and the figures as JSON.

    Returns:
        What was written.

    Raises:
        TledgeError: no such kind, or an option that a kind or the model cannot take.
    """
    progress = progress_or_default(options.progress)
    named = as_tuple(options.kinds)
    chosen = _choose(named, options.given())
    if options.given().get("photos"):
        check_used(options, ("images",), "with `photos`: it is a number of test photos")
    require("jinja2", extra="train", purpose="visualize.html")
    model, folder = _find_model(options, progress)
    check_writable(folder)
    sections, skipped = _show(chosen, replace(model, progress=progress), optional=not named, progress=progress)
    sections = _with_unique_names(sections)
    pictures = [picture for section in sections.values() for picture in section.pictures]
    record = VisualizeRecord(
        title=model.title,
        folder=folder,
        page=folder / PAGE,
        figures=folder / FIGURES,
        sections=sections,
        files=[folder / picture.file_name for picture in pictures],
        left_out=skipped,
        options={kind.name: _as_json(kind) for kind in chosen if kind.name in sections},
    )
    with replacing_contents(folder, progress=progress) as fresh:
        for picture in pictures:
            picture.save(fresh)
        write_page(sections, model.title, fresh / PAGE)
        atomic.write_json(fresh / FIGURES, record.to_dict())
    return record


def _show(
    kinds: Sequence[Kind], model: VisualizedModel, *, optional: bool, progress: Progress
) -> tuple[dict[str, Section], dict[str, str]]:
    """Shows each kind; if they are ``optional``, skips a kind that cannot be shown instead of raising its error.

    Returns:
        What was shown, and why the others were skipped, by the kind's name.

    Raises:
        OptionError: nothing can be shown.
    """
    skipped = {kind.name: reason for kind in kinds if (reason := kind.why_not(model))}
    if skipped and not optional:
        name, reason = next(iter(skipped.items()))
        raise OptionError(f"{name}: {reason}")
    sections = {}
    for kind in kinds:
        if kind.name in skipped:
            continue
        try:
            sections[kind.name] = kind.show(model, progress)
        except (DataError, ModelError) as error:
            if not optional:
                raise
            skipped[kind.name] = str(error)
            progress.warn(f"{kind.name} is skipped: {error}")
    if not sections:
        raise OptionError(f"nothing to show: {next(iter(skipped.values()))}")
    return sections, skipped


def _choose(names: Sequence[str], options: Mapping[str, Any]) -> list[Kind]:
    """Returns the named kinds, or all of them in the order of the story, with the options that each takes.

    Raises:
        OptionError: an option that none of the kinds takes, or options that contradict each other.
    """
    every = sorted((KINDS.load(name) for name in KINDS.names()), key=lambda kind: kind.order)
    chosen = [KINDS.load(name) for name in dict.fromkeys(names)] or every
    for option in options:
        if not any(option in kind.options() for kind in chosen):
            others = [kind.name for kind in every if option in kind.options()]
            named = ", ".join(kind.name for kind in chosen)
            raise OptionError(
                f"`{option}` is an option of {', '.join(others)}, not of {named}; leave it out or name that kind"
            )
    own = [kind.options() for kind in chosen if "classes" in kind.options()]  # ideal does not choose photos by class
    if options.get("photos") and options.get("classes") and all("photos" in names for names in own):
        raise OptionError("`photos` names photos, and `classes` chooses test photos: give one of them")
    return [kind.with_options(options) for kind in chosen]


def _find_model(options: VisualizeOptions, progress: Progress) -> tuple[VisualizedModel, Path]:
    """Returns the model that is looked at, and the folder to write to."""
    output = None if options.output is None else Path(options.output)
    labels = None if options.labels is None else Path(options.labels)
    if options.backbone is None:
        for name in ("weights", "image_size", "labels"):
            if getattr(options, name) is not None:
                raise OptionError(f"`{name}` is for a plain backbone: add `backbone`, as in `backbone='vgg16'`")
        directory = find_run(options.run, Path(options.runs), progress)
        return model_of_run(directory), output or directory.visualize
    if options.run is not None:
        raise OptionError("`run` names a trained run and `backbone` a plain network; give one of them")
    check_used(options, ("runs",), "with `backbone`, which needs no run")
    weights = options.weights or IMAGENET
    side = options.image_size
    model = model_of_backbone(options.backbone, weights, image_size=side, labels=labels, progress=progress)
    return model, output or Path(f"{FOLDER}-{options.backbone}")


def _with_unique_names(sections: Mapping[str, Section]) -> dict[str, Section]:
    """Returns the sections, with numbers added to file names that would overwrite one another."""
    used: set[str] = set()
    changed = {}
    for kind, section in sections.items():
        pictures: list[Picture] = []
        for picture in section.pictures:
            number, renamed = 1, picture
            while renamed.file_name in used:
                number += 1
                renamed = dataclasses.replace(picture, name=f"{picture.name}-{number}")
            used.add(renamed.file_name)
            pictures.append(renamed)
        changed[kind] = dataclasses.replace(section, pictures=pictures)
    return changed


def _as_json(kind: Kind) -> dict[str, Any]:
    """Returns a kind's options as JSON can hold them."""
    found = {}
    for name in sorted(kind.options()):
        value = getattr(kind, name)
        found[name] = [str(item) for item in value] if isinstance(value, list | tuple) else value
    return found
