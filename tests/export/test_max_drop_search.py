"""The search for the smallest artifact, with made drops, sizes, latencies and sensitivities."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from parity_sample import make_parity

from tledge.core.errors import ConversionError
from tledge.core.progress import Progress, Step
from tledge.export import max_drop
from tledge.export.export_record import MaxDropSearch
from tledge.export.keras_parity import Parity
from tledge.export.max_drop import best_trial, noise_to_signal, search_artifact
from tledge.export.recipes import find_recipe

pytestmark = pytest.mark.unit

PHOTOS = 40


def parity(drop: float = 0.0, decibels: float | None = 40.0) -> Parity:
    return make_parity(images=PHOTOS, drop=drop, decibels=decibels)


class Steps(Progress, Step):
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[object, ...]] = []

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        self.shown.append((label, total, unit))
        yield self

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.shown.append((count, detail))


class StubMaker:
    """A maker whose files hold the names of a recipe and of its float32 layers ("int8 a b").

    Args:
        folder: of the artifacts.
        drops: points of top-1 that a file loses, by its content; a missing recipe cannot be converted.
        sizes: bytes of a file by its content; 100 without it.
        sensitivity: dB by layer, when only that layer is quantized.
    """

    def __init__(
        self,
        folder: Path,
        drops: Mapping[str, float],
        sizes: Mapping[str, int] | None = None,
        sensitivity: Mapping[str, float | None] | None = None,
    ) -> None:
        self.directory = SimpleNamespace(artifacts=folder)
        self.splits = SimpleNamespace(validation=range(PHOTOS))
        self.progress = Steps()
        self.validation = SimpleNamespace(compare=lambda path: parity(drop=drops[content_of(path)]))
        self.reference = SimpleNamespace(first=self._first)
        self.published: list[tuple[str, Path, float]] = []
        self.staged_files: list[tuple[str, list[str]]] = []
        self._drops = drops
        self._sizes = sizes or {}
        self._sensitivity = sensitivity or {}

    def _first(self, images: int) -> Any:
        assert images == 32
        return SimpleNamespace(compare=self._compare_one_layer)

    def _compare_one_layer(self, path: Path) -> Parity:
        floats = content_of(path).split()[1:]
        (layer,) = set(self._sensitivity) - set(floats)
        return parity(decibels=self._sensitivity[layer])

    def kernel_layers(self) -> list[str]:
        return list(self._sensitivity)

    def convert(self, kind: str, recipe: Any) -> bytes:
        assert kind == "tflite"
        if recipe.name not in self._drops:
            raise ConversionError(f"no {recipe.name}")
        return recipe.name.encode()

    def quantizer(self, kind: str) -> Any:
        assert kind == "tflite"
        return SimpleNamespace(quantize=lambda layers: " ".join(["int8", *sorted(layers)]).encode())

    @contextmanager
    def staged(self, path: Path, content: bytes, recipe: Any, float_layers: Sequence[str] = ()) -> Iterator[Any]:
        others = sorted(found.parent.name for found in path.parent.rglob("*.tflite"))
        self.staged_files.append((path.name, others))
        folder = path.parent / content.decode().replace(" ", "-")
        folder.mkdir(exist_ok=True)
        staged = folder / path.name
        staged.write_bytes(content)
        size = self._sizes.get(content.decode(), 100)
        yield SimpleNamespace(path=staged, name=path.name, size=size, recipe=recipe, float_layers=tuple(float_layers))
        staged.unlink()

    def publish(self, artifact: Any, path: Path, *, seconds: float, max_drop: float) -> Any:
        assert seconds == 4.5
        self.published.append((content_of(artifact.path), path, max_drop))
        return SimpleNamespace(path=path)


def content_of(path: Path) -> str:
    return path.read_text()


def search(
    maker: StubMaker, monkeypatch: pytest.MonkeyPatch, names: Sequence[str], limit: float, **latencies: float
) -> MaxDropSearch:
    """Searches with latencies by recipe; 1 ms for one without."""

    def measure(paths: Sequence[Path]) -> list[float]:
        return [latencies.get(content_of(path).split()[0], 1.0) for path in paths]

    monkeypatch.setattr(max_drop, "median_latencies", measure)
    monkeypatch.setattr(max_drop, "time", SimpleNamespace(perf_counter=iter((10.0, 14.5)).__next__))
    candidates = [find_recipe(name) for name in names]
    exported, found = search_artifact(maker, "tflite", candidates=candidates, max_drop=limit)  # type: ignore[arg-type]
    assert exported.path.name == found.chosen
    assert (found.format, found.max_drop, found.images) == ("tflite", limit, PHOTOS)
    return found


def test_the_smallest_that_loses_no_more_than_the_limit_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drops = {"dynamic": 0.5, "int16x8": 0.4, "int8": 0.6}
    maker = StubMaker(tmp_path, drops, sizes={"dynamic": 300, "int16x8": 400, "int8": 100})
    found = search(maker, monkeypatch, list(drops), 0.5, dynamic=3.0, int16x8=2.0)
    assert found.chosen == "dynamic.tflite"
    assert maker.published == [("dynamic", tmp_path / "dynamic.tflite", 100.0)]
    assert [trial.drop for trial in found.trials] == pytest.approx([0.5, 0.4, 0.6])
    assert [(trial.recipe, trial.size, trial.latency, trial.kept) for trial in found.trials] == [
        ("dynamic", 300, 3.0, True),
        ("int16x8", 400, 2.0, True),
        ("int8", 100, None, False),
    ]
    assert found.sensitivity == ()
    assert maker.progress.shown == [
        ("Smallest tflite", 3, "recipes"),
        (1, "dynamic loses 0.50 points"),
        (1, "int16x8 loses 0.40 points"),
        (1, "int8 loses 0.60 points"),
    ]


def test_an_accepted_file_stays_until_the_end_and_another_goes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = StubMaker(tmp_path, {"dynamic": 0.1, "int16x8": 9.0, "int8": 0.2})
    search(maker, monkeypatch, ["dynamic", "int16x8", "int8"], 0.5)
    assert maker.staged_files == [
        ("dynamic.tflite", []),
        ("int16x8.tflite", ["dynamic"]),
        ("int8.tflite", ["dynamic"]),
    ]
    assert list(tmp_path.rglob("*.tflite")) == []


def test_a_recipe_that_does_not_support_the_model_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = StubMaker(tmp_path, {"int8": 0.1})
    found = search(maker, monkeypatch, ["dynamic", "int8"], 0.5)
    assert [trial.recipe for trial in found.trials] == ["int8"]
    assert (1, "dynamic skipped: no dynamic") in maker.progress.shown


def test_the_most_sensitive_layers_stay_in_float32_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drops = {"int8": 3.0, "int8 b": 2.0, "int8 b c": 0.5, "int8 a b c": 0.0}
    maker = StubMaker(tmp_path, drops, sensitivity={"a": 40.0, "b": 10.0, "c": 20.0, "d": None})
    found = search(maker, monkeypatch, ["int8"], 0.5, int8=4.0)
    assert found.sensitivity == (("b", 0.1), ("c", 0.01), ("a", pytest.approx(1e-4)), ("d", 0.0))
    assert [(trial.recipe, trial.float_layers, trial.latency, trial.kept) for trial in found.trials] == [
        ("int8", (), None, False),
        ("int8", ("b",), None, False),
        ("int8", ("b", "c"), 4.0, True),
    ]
    assert maker.published == [("int8 b c", tmp_path / "int8-mixed.tflite", 100.0)]
    assert [name for name, _ in maker.staged_files] == [
        "int8.tflite",
        *["sensitivity.tflite"] * 4,
        *["int8-mixed.tflite"] * 2,
    ]
    assert maker.progress.shown[2:] == [
        ("Sensitivity for tflite", 4, "layers"),
        *((1, layer) for layer in "abcd"),
        ("Float32 layers for tflite", 4, "layers"),
        (1, "1 in float32: loses 2.00 points"),
        (1, "2 in float32: loses 0.50 points"),
    ]


def test_all_layers_are_tried_before_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drops = {"int8": 3.0, "int8 b": 1.5, "int8 a b": 2.0, "int8 a b c": 1.6}
    maker = StubMaker(tmp_path, drops, sensitivity={"a": 40.0, "b": 10.0, "c": 50.0})
    with pytest.raises(ConversionError) as caught:
        search(maker, monkeypatch, ["int8"], 0.5)
    assert str(caught.value) == (
        "every 8-bit tflite artifact loses more than 0.5 points of top-1 on 40 validation photos; the best loses 1.50:"
        " raise `max_drop`, or `export(quantize='float16')`"
    )
    assert maker.published == []
    assert [name for name, _ in maker.staged_files[-4:]] == ["sensitivity.tflite", *["int8-mixed.tflite"] * 3]


def test_without_any_artifact_the_reasons_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConversionError) as caught:
        search(StubMaker(tmp_path, {}), monkeypatch, ["dynamic", "int8"], 0.5)
    assert str(caught.value) == (
        "no 8-bit tflite artifact can be made (dynamic: no dynamic; int8: no int8): try `export(quantize='float16')`"
    )


@pytest.mark.parametrize(
    ("sizes", "latencies", "best"),
    [
        ({0: 100, 1: 105}, {0: 9.0, 1: 1.0}, 1),
        ({0: 100, 1: 106}, {0: 9.0, 1: 1.0}, 0),
        ({0: 105, 1: 100, 2: 200}, {0: 9.0, 1: 9.5, 2: 0.1}, 0),
        ({1: 200, 3: 201}, {1: 2.0, 3: 1.0}, 3),
        ({2: 200, 5: 100}, {2: 1.0, 5: 2.0}, 5),
    ],
)
def test_of_about_the_same_size_the_fastest_is_best(
    sizes: dict[int, int], latencies: dict[int, float], best: int
) -> None:
    assert best_trial(sizes, latencies) == best


@pytest.mark.parametrize(
    ("decibels", "noise"), [(0.0, 1.0), (10.0, 0.1), (15.0, 10**-1.5), (20.0, 0.01), (-10.0, 10.0), (None, 0.0)]
)
def test_decibels_become_a_fraction(decibels: float | None, noise: float) -> None:
    assert noise_to_signal(decibels) == pytest.approx(noise)
