"""The layouts of folders with labelled photos.

* one folder per class: ``photos/cat/1.jpg``;
* folders of splits, such as ``train``, ``val`` and ``test``, each with one folder per class, or the reverse;
* one folder or split folders with a table of paths and labels; see ``core/photo_table.py``;
* the Oxford-IIIT Pet layout: ``images/*.jpg`` and ``annotations/{trainval,test}.txt`` with lines
  ``NAME CLASS-ID SPECIES BREED-ID``; the class is the name without its number.

A folder that only holds one of these is read like the folder in it. Names of folders and classes are compared in
Unicode NFC, since macOS stores and archives them decomposed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tledge.core.errors import DataError, MissingExtraError
from tledge.core.number_text import abridged, counted
from tledge.core.photo_archive import unpack_photos
from tledge.core.photo_listing import Listing, describe_undecodable, list_folder, list_tree
from tledge.core.photo_table import TABLE_SUFFIXES, read_table, tables_in
from tledge.core.progress import Progress
from tledge.core.split_folders import are_splits_within, composed_name, split_folders
from tledge.core.split_names import TEST, TRAIN, UNASSIGNED, split_of

EXPECTED = (
    "one folder per class with .jpg, .png, .webp or other photos (photos/cat/1.jpg, photos/dog/2.jpg), such folders"
    " below train/, val/ and test/, a .csv or .parquet table of paths and labels, a .zip of one of these, or images/"
    " and annotations/ as in the Oxford-IIIT Pet data set"
)

Labelled = tuple[Path, str, str]
"""A photo, its class, and the split that the layout assigns it to."""


@dataclass(frozen=True)
class FoundPhotos:
    """The photos of a data set, not read yet.

    Attributes:
        root: the folder that holds them all.
        class_names: sorted, in Unicode NFC; with expected classes, those of empty folders are at the end.
        files: (path, index of its class, split that the layout assigns it to or ``UNASSIGNED``), sorted by class
            and path.
        left_out: the number of other files by kind; see ``core.photo_listing.Listing``.
        archive: the absolute path of the ZIP that was unpacked to ``root``; empty without one.
        archive_sha256: its SHA-256.
    """

    root: Path
    class_names: tuple[str, ...]
    files: tuple[tuple[Path, int, str], ...]
    left_out: Counter[str] = field(default_factory=Counter)
    archive: str = ""
    archive_sha256: str = ""


def find_photos(data: Path, progress: Progress, known: Collection[str] = ()) -> FoundPhotos:
    """Detects the layout of a folder or a ZIP, or reads a table, and lists the photos.

    Args:
        data: a folder, a ``.zip`` file, or a ``.csv``, ``.tsv`` or ``.parquet`` file.
        known: the classes that are expected, in NFC: folders that are all called so are classes, whatever their names;
            the data set may then lack classes.

    Raises:
        DataError: there is no such folder, it has no photos or fewer than two classes, its layout is inconsistent or
            unclear, the ZIP cannot be unpacked, or a library that decodes the photos is missing.
    """
    if not data.exists():
        raise DataError(f"no such folder: '{data}'; `data` takes {EXPECTED}")
    if data.is_file() and data.suffix.lower() == ".zip":
        folder, sha256 = unpack_photos(data, progress)
        found = _find(folder, progress, known)
        if found.root != folder:
            raise DataError(f"a table in '{data}' names files outside of the ZIP; correct its paths")
        return replace(found, archive=str(data.resolve()), archive_sha256=sha256)
    if not data.is_dir() and data.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(f"'{data}' is a file, not a folder; `data` takes {EXPECTED}")
    return _find(data, progress, known)


def _find(root: Path, progress: Progress, known: Collection[str]) -> FoundPhotos:
    left_out, empty = Counter[str](), list[str]()
    try:
        layout = _Layout(progress, known, left_out, empty)
        photos = layout.read(root) if root.is_dir() else read_table(root, progress)
    except OSError as error:
        raise DataError(
            f"cannot read folder '{error.filename or root}': {error.strerror}; check its permissions"
        ) from error
    for path, _, _ in photos:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise DataError(f"the name of {os.fsencode(path)!r} is not UTF-8; rename the file or folder") from None
    class_names = tuple(dict.fromkeys([*(name for _, name, _ in photos), *empty]))
    if len(class_names) < 2 and not known:
        raise DataError(f"only one class in '{root}': {', '.join(class_names)}; a classifier needs two or more")
    labels = {name: label for label, name in enumerate(class_names)}
    files = sorted(((path, labels[name], split) for path, name, split in photos), key=lambda file: (file[1], file[0]))
    if problem := describe_undecodable([path for path, _, _ in files]):
        raise DataError(f"{problem}; they are in '{root}'")
    folder = root if root.is_dir() else root.parent
    if not all(path.is_relative_to(folder) for path, _, _ in files):  # of a table
        folder = Path(os.path.commonpath([folder.absolute(), *(path.absolute() for path, _, _ in files)]))
        files = [(path.absolute(), label, split) for path, label, split in files]
    return FoundPhotos(folder, class_names, tuple(files), left_out)


@dataclass(frozen=True)
class _Layout:
    """Reads a folder of a layout that is not known beforehand; counts in ``left_out`` what is no photo.

    With ``known`` classes, ``empty`` receives the class folders without photos; otherwise these are an error.
    """

    progress: Progress
    known: Collection[str]
    left_out: Counter[str]
    empty: list[str]

    def read(self, folder: Path) -> list[Labelled]:
        level = list_folder(folder)
        if (folder / "annotations" / "trainval.txt").is_file() and (folder / "images").is_dir():
            return _oxford_pets(folder)
        if (inner := self._only_folder(level)) is not None:
            self.left_out.update(level.left_out)
            return self.read(inner)
        tables = tables_in(level)
        try:
            splits = split_folders(folder, level, self.known)
            photos = self._in_splits(folder, splits) if splits else self._in_classes(folder, level)
            if not splits and are_splits_within(folder, level, alone=bool(self.known)):
                photos = [(path, name, str(split_of(path.relative_to(folder).parts[1]))) for path, name, _ in photos]
            if tables and self.known and not {name for _, name, _ in photos} & set(self.known):
                raise DataError(f"the folders in '{folder}' are not the expected classes")
        except DataError as error:
            if len(tables) > 1 or (tables and self._are_classes(level)):
                names = ", ".join(f"'{path}'" for path in tables)
                raise DataError(f"{error}; or pass one of its tables as `data`: {names}") from error
            if not tables:
                raise
            try:
                return self._in_table(tables[0], level)
            except DataError as of_table:
                raise DataError(f"{error}; its table cannot be used either: {of_table}") from of_table
        self._check_tables(folder, tables, photos)
        self.left_out.update(level.left_out)
        return photos

    def _are_classes(self, level: Listing) -> bool:
        """Whether some folders, or those in them, look like classes, so that a table is not what tells the labels."""
        named = [folder for folder in level.folders if not self.known or composed_name(folder) in self.known]
        classes = [folder for folder in named if not split_of(composed_name(folder)) and list_tree(folder).photos]
        below = [folder for folder in level.folders if not folder.is_symlink()]
        return len(classes) > (not self.known) or any(self._are_classes(list_folder(path)) for path in below)

    def _check_tables(self, root: Path, tables: Sequence[Path], photos: Sequence[Labelled]) -> None:
        """Raises DataError if a table gives photos other labels than their folders, unless these are expected."""
        labels = {os.path.normpath(path): name for path, name, _ in photos}
        classes = sorted(set(labels.values()))
        for table in tables if not self.known else ():
            try:
                listed = read_table(table, complete=False)
            except (DataError, MissingExtraError) as error:
                self.progress.note("Labels", f"from the folders, not from {table.name}: {error}")
                continue
            other = [
                (path, name)
                for path, name, _ in listed
                if labels.get(os.path.normpath(path), name) != name or name not in classes
            ]
            if other:
                path, name = other[0]
                raise DataError(
                    f"it is unclear whether the labels in '{root}' are the folders"
                    f" {abridged(classes)} or in {table.name}, which has other labels for"
                    f" {counted(len(other), 'photos')}: '{path}' is '{name}'; pass '{table}' as `data` for the"
                    " labels in it, or move it elsewhere for those of the folders"
                )

    def _only_folder(self, level: Listing) -> Path | None:
        """Returns the one folder that holds everything, as in most archives; None if the folder itself is read."""
        if len(level.folders) != 1 or level.photos or tables_in(level):
            return None
        (inner,) = level.folders
        below = list_folder(inner)
        whole = len(below.folders) > 1 or tables_in(below) or (below.folders and not below.photos)
        return inner if whole and composed_name(inner) not in self.known else None

    def _in_table(self, table: Path, level: Listing) -> list[Labelled]:
        photos = read_table(table, self.progress)
        self.left_out.update(level.left_out - Counter([table.suffix.lower()]))
        return photos

    def _in_classes(self, root: Path, level: Listing) -> list[Labelled]:
        trees = {folder: list_tree(folder) for folder in level.folders}
        found: dict[str, list[Path]] = {}
        for folder, tree in trees.items():  # decomposed and composed spellings are one class
            found.setdefault(composed_name(folder), []).extend(tree.photos)
        if not any(found.values()):
            contents = _contents(len(level.photos), (level, *trees.values()))
            raise DataError(f"no images in the class folders of '{root}': found {contents}; expected {EXPECTED}")
        empty = [name for name, paths in found.items() if not paths]
        if empty and not self.known:
            raise DataError(
                f"class folders without images in '{root}': {abridged(map(repr, empty))}; add images or remove them"
            )
        self.empty.extend(empty)
        if len(found) < 2 and not self.known:
            (name,) = found
            raise DataError(f"only one class in '{root}': '{name}'; a classifier needs two or more: {EXPECTED}")
        if level.photos:
            raise DataError(
                f"{counted(len(level.photos), 'images')} in '{root}' outside the class folders {abridged(found)}; move"
                " them into one"
            )
        for tree in trees.values():
            self.left_out.update(tree.left_out)
        return [(path, name, UNASSIGNED) for name, paths in sorted(found.items()) for path in paths]

    def _in_splits(self, root: Path, folders: dict[str, Path]) -> list[Labelled]:
        found: dict[str, list[Labelled]] = {}
        for split, folder in folders.items():
            level = list_folder(folder)
            if level.folders:
                found[split] = self._in_classes(folder, level)
                self.left_out.update(level.left_out)
            else:
                found[split] = self._in_table(tables_in(level)[0], level)
        first = TRAIN if TRAIN in found else next(iter(found))
        class_names = {name for _, name, _ in found[first]}
        for split, part in found.items():
            odd = sorted({name for _, name, _ in part} ^ class_names)
            if odd and not self.known:
                raise DataError(
                    f"'{folders[split].name}' and '{folders[first].name}' in '{root}' do not have the same classes:"
                    f" {abridged(odd)} in only one of them; add photos to the other or remove the folder"
                )
        photos = [(path, name, split) for split, part in found.items() for path, name, _ in part]
        return sorted(photos, key=lambda photo: photo[1])


def _oxford_pets(root: Path) -> list[Labelled]:
    lists = {UNASSIGNED: root / "annotations" / "trainval.txt", TEST: root / "annotations" / "test.txt"}
    named: list[tuple[Path, str, str]] = []
    for split, path in lists.items():
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name = line.split()[0]
            class_name, _, index = name.rpartition("_")
            if not class_name or not index.isdigit():
                raise DataError(
                    f"'{path}', line {number}: expected a photo such as 'Abyssinian_100 1 1 1'; received {name[:40]!r}"
                )
            named.append((root / "images" / f"{name}.jpg", class_name, split))
    absent = [path.name for path, _, _ in named if not path.is_file()]
    if absent:
        raise DataError(
            f"{counted(len(absent), 'photos')} listed in '{root / 'annotations'}'"
            f" {'is' if len(absent) == 1 else 'are'} missing from '{root / 'images'}':"
            f" {abridged(absent)}; restore them or remove their lines"
        )
    classes = len({class_name for _, class_name, _ in named})
    if classes < 2:
        raise DataError(
            f"the lists in '{root / 'annotations'}' contain {classes} classes; a classifier needs two or more"
        )
    return sorted(named, key=lambda photo: photo[1].lower())


def _contents(loose_photos: int, listings: Iterable[Listing]) -> str:
    if loose_photos:
        return f"{counted(loose_photos, 'images')} outside of any class folder"
    kinds = sum((listing.left_out for listing in listings), Counter[str]()).most_common(3)
    shown = (f"{count} {kind} files" if kind.startswith(".") else f"{count} files {kind}" for kind, count in kinds)
    return ", ".join(shown) or "nothing"
