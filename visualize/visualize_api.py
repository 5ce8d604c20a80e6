"""Pictures of what a network sees: from options to files, a page and figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tledge.core import atomic
from tledge.core.environment import installed_versions
from tledge.core.errors import DataError, ModelError, OptionError, UnknownNameError
from tledge.core.extras import require
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS, find_run
from tledge.visualize.kind import KINDS, Kind
from tledge.visualize.page import PageFacts, write_page
from tledge.visualize.pictures import Picture
from tledge.visualize.pretrained import IMAGENET, model_of_backbone
from tledge.visualize.section import Section
from tledge.visualize.visualized_model import VisualizedModel, model_of_run

SCHEMA_VERSION = 1
FOLDER = "visualize"
PAGE, FIGURES = "visualize.html", "visualize.json"
PLURALS = {"photos": "photo", "classes": "class", "artifacts": "artifact", "layers": "layer"}
"""Options that take several things, and what the command line calls them."""

VERSIONS = ("tledge", "keras", "tensorflow", "jax", "numpy", "pillow", "scikit-learn")


@dataclass(frozen=True, kw_only=True)
class VisualizeRecord:
    """What was written.

    Attributes:
        title: what was looked at.
        folder: where the files are.
        page: ``visualize.html``.
        figures: ``visualize.json``, the same as ``to_dict``.
        sections: what each kind found, by its name.
        files: the pictures, in order.
        left_out: why a kind was not shown, by its name, where none was asked for by name.
        options: what each kind was set to, by its name.
    """

    title: str
    folder: Path
    page: Path
    figures: Path
    sections: Mapping[str, Section]
    files: Sequence[Path]
    left_out: Mapping[str, str]
    options: Mapping[str, Mapping[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "title": self.title,
            "page": str(self.page),
            "files": [str(path) for path in self.files],
            "figures": {name: section.figures for name, section in self.sections.items()},
            "left_out": dict(self.left_out),
            "options": {name: dict(own) for name, own in self.options.items()},
        }


def visualize(
    kinds: str | Sequence[str] = (),
    *,
    run: str | Path | None = None,
    runs: Path = DEFAULT_RUNS,
    backbone: str | None = None,
    weights: str | None = None,
    image_size: int | None = None,
    labels: Path | None = None,
    output: Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> VisualizeRecord:
    """Shows what a network sees.

    Args:
        kinds: one or more names of ``KINDS``; all that the subject can be shown by without them.
        run: a run directory, its name within ``runs``, or None for the newest finished one.
        runs: the folder of runs.
        backbone: instead of a run, a network of ``keras.applications``.
        weights: of the backbone: "imagenet" (without it), "none", or a file.
        image_size: of the backbone's images, in pixels.
        labels: of the backbone's classes: a file with a name a line.
        output: the folder to write to; without it ``visualize`` in the run, or ``visualize-BACKBONE`` here.
        progress: is told of what is done.
        options: those of the kinds, by the names of their fields (``photos``, ``classes``, ``target``, ``layers``, …);
            of those in the plural, one or more.

    Raises:
        TledgeError: a kind or option that is none, or that this subject cannot take.
    """
    progress = progress or Progress()
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    chosen = _choose(kinds, {name: _listed(name, value) for name, value in options.items()})
    require("jinja2", extra="train", purpose="visualize.html")
    subject, folder = _subject(
        run=run, runs=runs, backbone=backbone, weights=weights, image_size=image_size, labels=labels, output=output
    )
    lacking = {kind.name: reason for kind in chosen if (reason := kind.why_not(subject))}
    if kinds and lacking:
        name, reason = next(iter(lacking.items()))
        raise OptionError(f"{name}: {reason}")
    if len(lacking) == len(chosen):
        raise OptionError(f"nothing to show: {next(iter(lacking.values()))}")
    sections = {}
    for kind in chosen:
        if kind.name in lacking:
            continue
        try:
            sections[kind.name] = kind.show(subject, progress)
        except (DataError, ModelError) as error:
            if kinds:
                raise
            lacking[kind.name] = str(error)  # the others are worth seeing all the same
            progress.warn(f"{kind.name} is left out: {error}")
    if not sections:
        raise OptionError(f"nothing to show: {next(iter(lacking.values()))}")
    sections = _with_names_of_their_own(sections)
    folder.mkdir(parents=True, exist_ok=True)
    files = [picture.save(folder) for section in sections.values() for picture in section.pictures]
    facts = PageFacts(
        title=subject.title,
        made=datetime.now(UTC),
        versions={name: version for name, version in installed_versions(VERSIONS).items() if version},
    )
    write_page(sections, facts, folder / PAGE)
    record = VisualizeRecord(
        title=subject.title,
        folder=folder,
        page=folder / PAGE,
        figures=folder / FIGURES,
        sections=sections,
        files=files,
        left_out=lacking,
        options={kind.name: _as_json(kind) for kind in chosen if kind.name in sections},
    )
    atomic.write_json(record.figures, record.to_dict())
    return record


def _choose(names: Sequence[str], options: Mapping[str, Any]) -> list[Kind]:
    """The kinds of some names, or all, set as asked; raises OptionError for an option that none of them has."""
    chosen = [KINDS.load(name) for name in dict.fromkeys(names)] or [KINDS.load(name) for name in KINDS.names()]
    for option in options:
        if not any(option in kind.options() for kind in chosen):
            others = [name for name in KINDS.names() if option in KINDS.load(name).options()]
            if not others:
                raise UnknownNameError("option", option, sorted({name for kind in chosen for name in kind.options()}))
            asked = ", ".join(kind.name for kind in chosen)
            raise OptionError(
                f"{_as_typed(option)} is an option of {', '.join(others)}, and {asked} was asked for; leave it out or"
                " name that kind"
            )
    if options.get("photos") and options.get("classes") and not any(_only_classes(kind) for kind in chosen):
        raise OptionError("--photo names photos, and --class chooses test photos: give one of them")
    return [kind.with_options(options) for kind in chosen]


def _listed(option: str, value: Any) -> Any:
    """What an option in the plural was given, as a list also where it is one thing."""
    if option not in PLURALS:
        return value
    values = [value] if isinstance(value, str | Path) else list(value)
    return [Path(item) for item in values] if option == "photos" else values


def _only_classes(kind: Kind) -> bool:
    """Whether a kind has another use for classes than to choose photos by them."""
    return "classes" in kind.options() and "photos" not in kind.options()


def _as_typed(option: str) -> str:
    """What the command line calls an option."""
    typed = PLURALS.get(option, option)
    return f"--{typed.replace('_', '-')}"


def _subject(
    *,
    run: str | Path | None,
    runs: Path,
    backbone: str | None,
    weights: str | None,
    image_size: int | None,
    labels: Path | None,
    output: Path | None,
) -> tuple[VisualizedModel, Path]:
    """What is looked at, and where the files go."""
    if backbone is None:
        given = {"--weights": weights, "--image-size": image_size, "--labels": labels}
        extra = [option for option, value in given.items() if value is not None]
        if extra:
            raise OptionError(f"{extra[0]} is for a plain backbone: add --backbone, as in --backbone vgg16")
        directory = find_run(run, runs)
        return model_of_run(directory), output or directory.visualize
    if run is not None:
        raise OptionError("--run names a trained run and --backbone a plain network; give one of them")
    subject = model_of_backbone(backbone, weights or IMAGENET, image_size=image_size, labels=labels)
    return subject, output or Path(f"{FOLDER}-{backbone}")


def _with_names_of_their_own(sections: Mapping[str, Section]) -> dict[str, Section]:
    """The sections, with a number after the names of files that would replace one another."""
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
    """A kind's options as JSON can hold them."""
    found = {}
    for name in sorted(kind.options()):
        value = getattr(kind, name)
        found[name] = [str(item) for item in value] if isinstance(value, list | tuple) else value
    return found
