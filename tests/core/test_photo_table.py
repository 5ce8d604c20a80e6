"""Tables of paths and labels, as Kaggle, Label Studio, Roboflow and Vertex AI export them."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from support import lazy_module

from tledge.core import photo_layouts
from tledge.core.errors import DataError, MissingExtraError
from tledge.core.extras import is_installed
from tledge.core.photo_table import read_table
from tledge.core.progress import Progress

pytestmark = pytest.mark.unit

Found = dict[str, tuple[str, str]]


def photos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def read(table: Path, content: str | bytes) -> Found:
    """Returns the class and split of each photo."""
    table.write_bytes(content.encode() if isinstance(content, str) else content)
    return {path.relative_to(table.parent).as_posix(): (name, split) for path, name, split in read_table(table)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return photos(tmp_path, "a/1.jpg", "a/2.jpg", "b/3.jpg")


EXPECTED = {"a/1.jpg": ("cat", ""), "a/2.jpg": ("cat", ""), "b/3.jpg": ("dog", "")}

TABLES = {
    "path and label": "path,label\na/1.jpg,cat\na/2.jpg,cat\nb/3.jpg,dog\n",
    "filename and class": "filename,class\na/1.jpg,cat\na/2.jpg,cat\nb/3.jpg,dog\n",
    "image and label": "image,label\na/1.jpg,cat\na/2.jpg,cat\nb/3.jpg,dog\n",
    "file_name": "File_Name, Label\na/1.jpg, cat\na/2.jpg, cat\nb/3.jpg, dog\n",
    "image_path first": "label,image_path\ncat,a/1.jpg\ncat,a/2.jpg\ndog,b/3.jpg\n",
    "Kaggle's id and breed": "id,breed\n1,cat\n2,cat\n3,dog\n",
    "an index and other columns": ",path,width,label\n0,a/1.jpg,10,cat\n1,a/2.jpg,10,cat\n2,b/3.jpg,10,dog\n",
    "a class number and its name": "path,label,label_name\na/1.jpg,0,cat\na/2.jpg,0,cat\nb/3.jpg,1,dog\n",
    "Roboflow's one-hot columns": "filename, cat, dog\na/1.jpg, 1, 0\na/2.jpg, 1, 0\nb/3.jpg, 0, 1\n",
    "floats": "image,cat,dog\n1,1.0,0.0\n2,1.0,0.0\n3,0.0,1.0\n",
    "Label Studio's local files": (
        "image,id,choice,annotator,annotation_id\n/data/local-files/?d=set/a/1.jpg,7,cat,1,1\n"
        "/data/local-files/?d=set%2Fa%2F2.jpg,8,cat,1,2\n/data/local-files/?d=b/3.jpg,9,dog,1,3\n"
    ),
    "Label Studio's uploads": (
        "image,choice,id\n/data/upload/3/0a1b2c3d-1.jpg,cat,1\n/data/upload/3/0a1b2c3d-2.jpg,cat,2\n"
        "/data/upload/3/ffffffff-3.jpg,dog,3\n"
    ),
    "Label Studio's choices as JSON": (
        'image,choice,id\na/1.jpg,"{""choices"": [""cat""]}",1\na/2.jpg,cat,1\nb/3.jpg,"[""dog""]",2\n'
    ),
    "Vertex AI without header": "gs://bucket/x/1.jpg,cat\ngs://bucket/x/2.jpg,cat\ngs://bucket/x/3.jpg,dog\n",
    "URLs": "url,label\nhttps://host/a/1.jpg?x=1,cat\nhttps://host/a/2.jpg,cat\nhttps://host/3.jpg,dog\n",
    "paths of another machine": "path,label\n/home/set/a/1.jpg,cat\n/home/set/a/2.jpg,cat\nC:\\set\\b\\3.jpg,dog\n",
    "backslashes and Windows' line ends": "path,label\r\na\\1.jpg,cat\r\n.\\a\\2.jpg,cat\r\nb\\3.jpg,dog\r\n",
    "semicolons": "path;label\na/1.jpg;cat\na/2.jpg;cat\nb/3.jpg;dog\n",
    "Excel's first line": "sep=;\r\npath;label\r\na/1.jpg;cat\r\na/2.jpg;cat\r\nb/3.jpg;dog\r\n",
    "tabs": "path\tlabel\na/1.jpg\tcat\na/2.jpg\tcat\nb/3.jpg\tdog\n",
    "a byte order mark": "\ufeffpath,label\na/1.jpg,cat\na/2.jpg,cat\nb/3.jpg,dog\n",
    "empty rows and repeated ones": "\npath,label\n\na/1.jpg,cat\na/1.jpg,cat\na/2.jpg,cat\nb/3.jpg,dog\n,\n",
    "names that only the values tell": "aa,bb\na/1.jpg,cat\na/2.jpg,cat\nb/3.jpg,dog\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read(name: str, root: Path) -> None:
    assert read(root / "labels.csv", TABLES[name]) == EXPECTED
    assert photo_layouts.find_photos(root / "labels.csv", Progress()).class_names == ("cat", "dog")


def test_utf_16_as_windows_writes_it(root: Path) -> None:
    assert read(root / "labels.csv", TABLES["tabs"].encode("utf-16")) == EXPECTED


@pytest.mark.parametrize(
    "content",
    [
        "path,label,split\na/1.jpg,cat,train\na/2.jpg,cat,Validation\nb/3.jpg,dog,TEST\n",
        "image,class,subset\n1,cat,training\n2,cat,valid\n3,dog,test\n",
        "TRAIN,gs://x/a/1.jpg,cat\nVALIDATION,gs://x/a/2.jpg,cat\nTEST,gs://x/b/3.jpg,dog\n",
    ],
)
def test_a_column_of_splits_assigns_photos(content: str, root: Path) -> None:
    assert read(root / "labels.csv", content) == {
        "a/1.jpg": ("cat", "train"),
        "a/2.jpg": ("cat", "validation"),
        "b/3.jpg": ("dog", "test"),
    }


def test_photos_without_a_split_are_drawn(root: Path) -> None:
    found = read(root / "labels.csv", "path,label,split\na/1.jpg,cat,\na/2.jpg,cat,unassigned\nb/3.jpg,dog,test\n")
    assert [split for _, split in found.values()] == ["", "", "test"]


WRONG = {
    "path,label\n": "has no rows",
    "": "found nothing",
    "nothing here": "is not a table of paths and labels: found nothing here",
    "path,label\na/1.jpg,cat\na/2.jpg\n": "row 3: expected 2 columns, received 1; put cells with ',' in quotes",
    "path,label\na/1.jpg,cat\na/2.jpg,\n": r"labels.csv', row 3: expected one label, received none",
    'image,choice,id\n1,"{""choices"": [""cat"", ""dog""]}",1\n': "row 2: expected one label, received cat, dog",
    "image,cat,dog\n1,1,1\n2,1,0\n": "row 2: expected one label, received cat, dog",
    "image,cat,dog\n1,0,0\n": "row 2: expected one label, received none",
    "image,cat,dog\n1,0.7,0.3\n": "the columns of paths and labels in '.*' are unclear: image, cat, dog; name them",
    "x,y,z\n1,2,3\n": "the columns of paths and labels in '.*' are unclear: x, y, z",
    "path,label,split\na/1.jpg,cat,trian\n": r"row 2: expected a split \(train, val or test\), received 'trian'",
    "path,label\na/1.jpg,cat\na/4.jpg,dog\na/5.jpg,dog\n": "2 of 3 photos in '.*' were not found .*: a/4.jpg, a/5.jpg;",
    f"path,label\na/1.jpg,cat\n{'x' * 300},dog\n": "1 of 2 photos in '.*' were not found below .*xxx; put the table",
    "path,label\na/1.jpg,cat\n1.jpg,dog\n": "lists photos with more than one label or split: 1.jpg",
}


@pytest.mark.parametrize("content", WRONG)
def test_tables_that_are_wrong_are_explained(content: str, root: Path) -> None:
    with pytest.raises(DataError, match=WRONG[content]):
        read(root / "labels.csv", content)


def test_other_encodings_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match="is not UTF-8 text; save it as CSV in UTF-8"):
        read(root / "labels.csv", "path,label\na/1.jpg,Rosé\n".encode("latin-1"))


def test_one_class_is_too_few(root: Path) -> None:
    (root / "labels.csv").write_text("path,label\na/1.jpg,cat\n")
    with pytest.raises(DataError, match="only one class in '.*labels.csv': cat; a classifier needs two or more"):
        photo_layouts.find_photos(root / "labels.csv", Progress())


def test_a_name_in_two_folders_is_ambiguous_unless_the_table_or_path_tells(tmp_path: Path) -> None:
    photos(tmp_path, "train/1.jpg", "test/1.jpg", "extra/deep/1.jpg")
    assert read(tmp_path / "train.csv", "id,label\n1,cat\n") == {"train/1.jpg": ("cat", "")}
    assert read(tmp_path / "labels.csv", "path,label\n/old/deep/1.jpg,cat\n") == {"extra/deep/1.jpg": ("cat", "")}
    with pytest.raises(DataError, match="1 of 1 photos in '.*' were not found .*, or more than one file fits: 1"):
        read(tmp_path / "labels.csv", "id,label\n1,cat\n")


@pytest.mark.parametrize(
    ("there", "rows", "missing"),
    [
        ("cat/1.jpg dog/4.jpg", "cat/1.jpg,cat cat/4.jpg,cat", "cat/4.jpg"),
        ("cat/1.jpg dog/4.jpg", "1.jpg,cat 4.jpg,cat 1,dog", "4.jpg, 1"),
        ("dog/4.jpg misc/1.jpg", "/x/cat/4.jpg,cat /y/1.jpg,dog", "/x/cat/4.jpg"),
        ("cat/1.jpg dog/2.jpg old/4.jpg", "/x/cat/1.jpg,cat /x/dog/2.jpg,dog /x/cat/4.jpg,cat", "/x/cat/4.jpg"),
        ("cat/1.jpg misc/4.jpg", "cat/1.jpg,cat cat/4.jpg,cat", "cat/4.jpg"),
        ("cat/1.jpg misc/4.jpg", "set/cat/1.jpg,cat set/cat/4.jpg,cat", "set/cat/4.jpg"),
        ("cat/1.jpg misc/4.jpg", "https://x/cat/1.jpg,cat https://x/dog/4.jpg,dog", "https://x/dog/4.jpg"),
        ("1.jpg misc/4.jpg", "1.jpg,cat 4.jpg,cat", "4.jpg"),
        ("train/1.jpg test/3.jpg", "train/1.jpg,cat train/3.jpg,cat", "train/3.jpg"),
        ("train/1.jpg test/3.jpg", "x/train/1.jpg,cat x/train/3.jpg,cat", "x/train/3.jpg"),
        ("Test/1.jpg", "1,cat,train", "1"),
        ("Test/1.jpg", "/x/1.jpg,cat,val", "/x/1.jpg"),
    ],
)
def test_a_missing_photo_is_never_another_one(tmp_path: Path, there: str, rows: str, missing: str) -> None:
    photos(tmp_path, *there.split())
    header = "path,label,split" if rows.count(",") > 1 + rows.count(" ") else "path,label"
    with pytest.raises(
        DataError, match=rf"{missing.count(',') + 1} of \d photos in .* more than one file fits: {missing};"
    ):
        read(tmp_path / "labels.csv", "\n".join((header, *rows.split())))


def test_the_name_of_a_table_is_that_of_its_split(tmp_path: Path) -> None:
    photos(tmp_path, "train/1.jpg", "test/2.jpg")
    for name in ("train.csv", "train_labels.csv"):
        with pytest.raises(DataError, match="1 of 2 photos in .* fits: 2;"):
            read(tmp_path / name, "id,label\n1,cat\n2,dog\n")
    assert len(read(tmp_path / "labels.csv", "id,label\n1,cat\n2,dog\n")) == 2


def test_photos_that_were_moved_are_found(tmp_path: Path) -> None:
    photos(tmp_path, "all/1.jpg", "all/4.jpg", "all/cat/5.jpg")
    table = "path,label\ncat/1.jpg,cat\ndog/4.jpg,dog\n/x/5.jpg,cat\n"
    assert set(read(tmp_path / "labels.csv", table)) == {"all/1.jpg", "all/4.jpg", "all/cat/5.jpg"}


class Notes(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, label: str, text: str) -> None:
        self.notes.append(f"{label}: {text}")


NOTED = {
    "path,species,size\na/1.jpg,cat,1\n": "column 'species'; paths: column 'path'; 2 photos in '{}' not in the table",
    "path,label,part,split\na/1.jpg,cat,1,train\n1,cat,2,train\nb/3.jpg,dog,3,test\n": (
        "column 'label'; paths: column 'path'; splits: column 'split'; 1 photo found by name alone; 1 photo in '{}'"
        " not in the table"
    ),
    "a/1.jpg,cat\na/2.jpg,cat\nb/3.jpg,dog\n": "column 2; paths: column 1",
    "file,cat,dog\n1,1,0\n2,1,0\n/x/b/3.jpg,0,1\n": (
        "one column per class; paths: column 'file'; 3 photos found by name alone"
    ),
}


@pytest.mark.parametrize("content", NOTED)
def test_the_columns_and_the_photos_without_a_row_are_noted(content: str, root: Path) -> None:
    (root / "labels.csv").write_text(content)
    notes = Notes()
    read_table(root / "labels.csv", notes)
    assert notes.notes == [f"Labels: from labels.csv, {NOTED[content].format(root)}"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "path,species,breed\n1,cat,siam\n2,dog,pug\n",
            "columns of '.*labels.csv' may hold the labels: species, breed;",
        ),
        ("path,Label,label\n1,cat,a\n2,dog,b\n", "keep one of them, or call one 'label_name'"),
        ("path,label,class\n1,0,0\n2,1,2\n", "labels: label, class;"),
        ("path,label,class\n1,0,cat\n2,1,dog\n", {"cat", "dog"}),
        ("path,class,label\n1,0,cat\n2,1,dog\n", {"cat", "dog"}),
        ("path,Label,label\n1,cat,cat\n2,dog,dog\n", {"cat", "dog"}),
        ("path,breed,label\n1,x,cat\n2,y,dog\n", {"cat", "dog"}),
        ("path,label\n1,0.0\n2,1.0\n", {"0", "1"}),
        ("path,label\n1,0.0\n2,1.5\n", {"0.0", "1.5"}),
    ],
)
def test_the_column_of_labels_is_clear_or_asked_for(content: str, expected: str | set[str], root: Path) -> None:
    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected):
            read(root / "labels.csv", content)
    else:
        assert {name for name, _ in read(root / "labels.csv", content).values()} == expected


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("path,label\n\n1,cat\n\n\n\n2,\n", 7),
        ("\n\nsep=,\npath,label\n1,cat\n2,\n", 6),
        ("path,label\r\n\r\n1,cat\r\n2,cat,dog\r\n", 4),
        ('path,label,note\n1,cat,"a\nb"\n2,,x\n', 4),
    ],
)
def test_rows_are_counted_as_an_editor_does(content: str, line: int, root: Path) -> None:
    with pytest.raises(DataError, match=f"labels.csv', row {line}: expected"):
        read(root / "labels.csv", content)


def test_names_compare_composed(tmp_path: Path) -> None:
    photos(tmp_path, unicodedata.normalize("NFD", "x/Rosé.jpg"), "x/b.jpg")
    table = tmp_path / "labels.csv"
    table.write_text(unicodedata.normalize("NFC", "path,label\nRosé.jpg,") + unicodedata.normalize("NFD", "é\n"))
    assert [name for _, name, _ in read_table(table)] == ["é"]


def test_photos_beside_the_table_s_folder_are_taken(tmp_path: Path) -> None:
    photos(tmp_path, "images/1.jpg", "images/2.jpg", "annotations/x.txt")
    table = tmp_path / "annotations" / "labels.csv"
    table.write_text("path,label\n../images/1.jpg,a\n../images/2.jpg,b\n")
    found = photo_layouts.find_photos(table, Progress())
    assert found.root == tmp_path
    assert [path.relative_to(tmp_path).as_posix() for path, _, _ in found.files] == ["images/1.jpg", "images/2.jpg"]


def test_a_folder_with_loose_photos_and_a_table_is_read_by_it(tmp_path: Path) -> None:
    photos(tmp_path, "images/1.jpg", "images/2.jpg")
    (tmp_path / "labels.csv").write_text("id,label\n1,a\n2,b\n")
    assert photo_layouts.find_photos(tmp_path, Progress()).class_names == ("a", "b")
    (tmp_path / "other.csv").write_text("id,label\n")
    with pytest.raises(DataError, match=r"or pass one of its tables as `data`: '.*labels.csv', '.*other.csv'"):
        photo_layouts.find_photos(tmp_path, Progress())


BESIDE = {
    "images/1.jpg masks/1.jpg": (
        "path,label\nimages/1.jpg,cat\n",
        r"are the folders images, masks or in labels.csv, which has other labels for 1 photo: '.*/images/1.jpg' is "
        r"'cat'; pass '.*/labels.csv' as `data` for the labels in it, or move it elsewhere",
    ),
    "images/1.jpg images/2.jpg masks/1.jpg masks/2.jpg": (
        "id,label\n1,cat\n2,dog\n",
        "folders images, masks or in labels.csv, which has other labels for 2 photos: '1' is 'cat'",
    ),
    "cat/1.jpg dog/2.jpg": ("file,label,score\ncat/1.jpg,dog,0.6\ndog/2.jpg,dog,0.9\n", "other labels for 1 photo"),
    "cat/1.jpg dog/2.jpg bird/x.txt": (
        "file,label,score\ncat/1.jpg,dog,0.6\ndog/2.jpg,cat,0.9\n",
        "class folders without images in '.*': 'bird'; .*; or pass one of its tables as `data`: '.*labels.csv'",
    ),
    "cat/1.jpg dog/2.jpg 3.jpg": ("file,label\n3.jpg,x\n2,y\n", "1 image in '.*' outside.*or pass one of its tables"),
    "photos/cat/1.jpg photos/dog/2.jpg": ("file,label\n1,dog\n2,cat\n", "only one class .*or pass one of its tables"),
    "train/cat/1.jpg train/dog/2.jpg test/3.jpg": (
        "id,label\n3,cat\n",
        r"it is unclear which folders .*test \(1 photos\).*or pass one of its tables",
    ),
    "train/cat/1.jpg train/dog/2.jpg test/cat/3.jpg test/dog/4.jpg": (
        "id,label\n3,dog\n",
        "are the folders cat, dog or in labels.csv, which has other labels for 1 photo",
    ),
}


@pytest.mark.parametrize("files", BESIDE)
def test_a_table_beside_class_folders_never_replaces_or_contradicts_them(files: str, tmp_path: Path) -> None:
    content, told = BESIDE[files]
    (photos(tmp_path, *files.split()) / "labels.csv").write_text(content)
    with pytest.raises(DataError, match=told):
        photo_layouts.find_photos(tmp_path, Progress())


def test_a_table_that_agrees_or_has_no_labels_is_left_out(tmp_path: Path) -> None:
    photos(tmp_path, "cat/1.jpg", "dog/2.jpg", "dog/3.jpg")
    notes = Notes()
    (tmp_path / "labels.csv").write_text("path,label\ncat/1.jpg,cat\ndog/2.jpg,dog\ndog/9.jpg,dog\n")
    assert photo_layouts.find_photos(tmp_path, notes).class_names == ("cat", "dog")
    assert notes.notes == []
    (tmp_path / "labels.csv").write_text("width,height\n1,2\n")
    found = photo_layouts.find_photos(tmp_path, notes)
    assert (found.class_names, found.left_out) == (("cat", "dog"), {".csv": 1})
    assert "Labels: from the folders, not from labels.csv: the columns of paths and labels in" in notes.notes[0]
    (tmp_path / "labels.csv").write_text("path,label\ncat/1.jpg,kitten\n")
    assert photo_layouts.find_photos(tmp_path, Progress(), ["cat", "dog"]).class_names == ("cat", "dog")


@pytest.mark.parametrize("files", ["1.jpg 2.jpg", "images/1.jpg images/2.jpg", "train/1.jpg test/2.jpg"])
def test_the_table_of_photos_without_class_folders_is_noted(files: str, tmp_path: Path) -> None:
    photos(tmp_path, *files.split())
    (tmp_path / "labels.csv").write_text("id,label\n1,a\n2,b\n")
    notes = Notes()
    assert photo_layouts.find_photos(tmp_path, notes).class_names == ("a", "b")
    assert notes.notes == ["Labels: from labels.csv, column 'label'; paths: column 'id'; 2 photos found by name alone"]


def test_roboflow_s_folders_with_tables_are_splits(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        photos(tmp_path, f"{split}/1.jpg", f"{split}/2.jpg")
        (tmp_path / split / "_classes.csv").write_text("filename, cat, dog\n1.jpg, 1, 0\n2.jpg, 0, 1\n")
    (tmp_path / "test" / "notes.txt").touch()
    (tmp_path / "test" / "Notes.TXT").touch()
    found = photo_layouts.find_photos(tmp_path, Progress())
    assert found.left_out == {".txt": 2}, "the tables are read"
    in_one = photo_layouts.find_photos(tmp_path / "test", Progress())
    assert (len(in_one.files), in_one.left_out) == (2, {".txt": 2})
    assert found.class_names == ("cat", "dog")
    assert {(path.parent.name, split) for path, _, split in found.files} == {
        ("train", "train"),
        ("valid", "validation"),
        ("test", "test"),
    }


def test_parquet_without_its_library_names_the_extra(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tledge.core.extras.is_installed", lambda module: False)
    (root / "labels.parquet").touch()
    with pytest.raises(MissingExtraError, match=r"reading '.*labels.parquet' needs pyarrow.*tledge\[bench\]"):
        read_table(root / "labels.parquet")


@pytest.mark.skipif(not is_installed("pyarrow"), reason="needs PyArrow")
class TestParquet:
    def test_columns_are_found_as_in_csv(self, root: Path) -> None:
        pyarrow = lazy_module("pyarrow")
        from pyarrow import parquet

        columns = {"image_id": [1, 2, 3], "label": ["cat", "cat", "dog"], "split": ["train", None, "test"]}
        parquet.write_table(pyarrow.table(columns), root / "labels.parquet")
        found = {path.name: (name, split) for path, name, split in read_table(root / "labels.parquet")}
        assert found == {"1.jpg": ("cat", "train"), "2.jpg": ("cat", ""), "3.jpg": ("dog", "test")}

    def test_photos_inside_and_damaged_files_are_refused(self, root: Path) -> None:
        pyarrow = lazy_module("pyarrow")
        from pyarrow import parquet

        inside = {"image": [{"bytes": b"x", "path": "1.jpg"}], "label": [0]}
        parquet.write_table(pyarrow.table(inside), root / "labels.parquet")
        with pytest.raises(DataError, match="are label; photos inside a Parquet file are not read: save them as files"):
            read_table(root / "labels.parquet")
        (root / "labels.parquet").write_bytes(b"PAR1 no")
        with pytest.raises(DataError, match="is not a readable Parquet file"):
            read_table(root / "labels.parquet")


def test_any_text_is_read_or_refused_in_words(root: Path) -> None:
    rng = np.random.default_rng(0)
    cells = [
        "path",
        "label",
        "id",
        "split",
        "train",
        "1.jpg",
        "a/1.jpg",
        "x",
        "0",
        "1",
        "",
        '"',
        "é",
        "{",
        "?d=",
        "://",
        "..",
    ]
    outcomes = set()
    for _ in range(500):
        delimiter = str(rng.choice(list(",;\t")))
        rows = [delimiter.join(rng.choice(cells, rng.integers(1, 4))) for _ in range(rng.integers(0, 5))]
        (root / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
        try:
            found = read_table(root / "labels.csv")
        except DataError as error:
            outcomes.add(str(root / "labels.csv") in str(error))
        else:
            outcomes.add(all(path.is_file() and name for path, name, _ in found))
    assert outcomes == {True}
