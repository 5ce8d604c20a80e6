"""What a model card says, decided by made figures."""

from pathlib import Path
from typing import Any

import pytest
from card_sample import card, rows

from tledge.core.manifest import data_name
from tledge.train.history import FULL

pytestmark = pytest.mark.unit


def test_the_figures_and_the_table(tmp_path: Path) -> None:
    text = card(tmp_path, photos=[40, 10])
    assert "An image classifier for the classes `class 0`, `class 1`. Backbone: mobilenet; input: 32 px." in text
    assert "mobilenet at width 0.5; input: 32 px" in card(tmp_path, alpha=0.5)
    assert "**Test top-1 0.960** (95% interval 0.865 to 0.989, 50 photos not used in training)" in text
    assert "![Curves](figures/a.png)" in text
    table = [line for line in text.splitlines() if line.startswith("| class ")][1:]
    assert table == [
        "| class 1 | 10 | 0.900 | 0.900 | class 0 (1) |",
        "| class 0 | 40 | 0.975 | 0.975 | class 1 (1) |",
    ], "the lowest recall first"


def header(text: str) -> Any:
    """The YAML header, read by PyYAML."""
    yaml = pytest.importorskip("yaml")
    _, found, _ = text.split("---\n", 2)
    return yaml.safe_load(found)


def test_the_header_is_that_of_hugging_face(tmp_path: Path) -> None:
    given = header(card(tmp_path, license="apache-2.0", dataset_name='me/my "cats": 2'))
    assert given == {
        "license": "apache-2.0",
        "datasets": ['me/my "cats": 2'],
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["mobilenet", "transfer-learning"],
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": "run",
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {"name": 'me/my "cats": 2', "type": 'me/my "cats": 2', "split": "test"},
                        "metrics": [{"type": "accuracy", "name": "Test top-1", "value": 0.9625}],
                    }
                ],
            }
        ],
    }


def test_what_the_header_does_not_know_is_a_comment(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert text.startswith("---\n# license: not given; replace this line, for example by 'license: apache-2.0'\n")
    assert "\n# datasets: not given; name the data set here\n" in text
    assert "\n# base_model: no Hugging Face model; keras.applications.MobileNet with ImageNet weights\n" in text
    assert not header(text).keys() & {"license", "datasets", "base_model"}
    assert header(text)["model-index"][0]["results"][0]["dataset"]["name"] == "photos"
    odd = 'a\x7f\x85\x9b\u2028\ufeff\t"ü\U0001f600'
    assert header(card(tmp_path, dataset_name=odd))["datasets"] == [odd]
    text = card(tmp_path, weights="none", pretrained=False)
    assert "\n# base_model: no Hugging Face model; trained from random weights\n" in text
    assert header(text)["tags"] == ["mobilenet"]


def test_no_path_of_this_machine_is_in_the_card(tmp_path: Path) -> None:
    text = card(tmp_path, weights="/home/me/w.h5", source="/home/me/w.h5")
    assert "/home" not in text
    assert "`photos`: 180 photos of 2 classes" in text
    assert "initial weights: w.h5 (SHA-256 `www" in text
    assert 'keras.applications.MobileNet with weights "w.h5"' in text


def test_a_small_test_split_gets_advice(tmp_path: Path) -> None:
    # None of 2 is right: the interval has 0.5 in it, which needs 1.96² · 0.25 / 0.05² = 384.1 photos.
    advice = "**Too few test photos.** With 2, the 95% interval of the accuracy is 0% to 66%. About 385 test photos"
    assert advice in card(tmp_path, photos=[1, 1])
    # Half the interval of 28 of 30 is 9.7 points, that of 27 of 29 is 10.03.
    assert "Too few" not in card(tmp_path, photos=[15, 15])
    assert "With 29, the 95% interval of the accuracy is 78% to 98%. About 264 test" in card(tmp_path, photos=[15, 14])


def test_at_most_forty_classes_have_a_row(tmp_path: Path) -> None:
    for classes, complete in ((40, True), (41, False)):
        text = card(tmp_path, photos=[2] * classes)
        assert len([line for line in text.splitlines() if line.startswith("| class ")]) == 1 + 40
        assert ("The 40 classes with the lowest recall; all 41 are in" not in text) is complete
    assert "`class 7` and 33 more" in text
    assert "`class 7`:" in card(tmp_path, photos=[2] * 8)


def test_few_test_photos_are_a_limit(tmp_path: Path) -> None:
    assert "Fewer than 30 test photos" not in card(tmp_path, photos=[30, 30])
    assert "Fewer than 30 test photos of `class 1`: their figures are" in card(tmp_path, photos=[30, 29])


def test_unbalanced_classes_are_a_limit(tmp_path: Path) -> None:
    assert "unbalanced" not in card(tmp_path, images={"a": 100, "b": 300})
    weighed = card(tmp_path, images={"a": 100, "b": 301})
    assert "Classes are unbalanced (100 to 301 photos); rare ones are weighted more in training." in weighed
    plain = card(tmp_path, images={"a": 100, "b": 301}, class_weights=False)
    assert "rare ones are not weighted more in training" in plain


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({}, "label smoothing 0.1; the weights of epoch 2 are kept\n"),
        (
            {"best_epoch_share": 0.25},
            "label smoothing 0.1; the weights of epoch 2 are kept, averaged with 75% of the linear probe's\n",
        ),
        (
            {"best_epoch": 0.0, "best_epoch_share": 0.0},
            "label smoothing 0.1; the linear probe was better and is kept\n",
        ),
    ],
)
def test_which_weights_are_kept(tmp_path: Path, metrics: dict[str, float], expected: str) -> None:
    text = card(tmp_path, metrics=metrics)
    assert "linear probe: 4 penalties tried, validation top-1 0.875" in text
    assert (
        "fine-tune: from stage 3 on, batch norms in inference mode; 3 epochs, AdamW, peak learning rate 0.001" in text
    )
    assert expected in text


def test_full_training_has_no_probe(tmp_path: Path) -> None:
    text = card(tmp_path, epochs=rows(FULL, 5), augment=False)
    assert "full training: every layer; 5 epochs" in text
    assert "linear probe:" not in text
    assert "augmentation: none" in text


def test_the_augmentation_is_described(tmp_path: Path) -> None:
    what = (
        "cropped to 70% of each side or more, rotated by up to 10 degrees, brightness, contrast and saturation changed"
    )
    assert f"augmentation: mirrored at random, {what} by up to 20%" in card(tmp_path)
    assert f"augmentation: {what}" in card(tmp_path, flip=False)
    assert "augmentation: cropped to 90% of each side or more\n" in card(
        tmp_path, flip=False, crop=0.9, rotation=0.0, colour=0.0
    )
    assert "augmentation: none\n" in card(tmp_path, flip=False, crop=1.0, rotation=0.0, colour=0.0)


def test_robustness_is_reported_where_it_was_trained(tmp_path: Path) -> None:
    assert "Training did not measure its robustness to attacks" in card(tmp_path)
    name = "validation_robust_accuracy"
    metrics = {name: 0.5, f"{name}_low": 0.4, f"{name}_high": 0.6, "best_epoch": 0.0, "best_epoch_share": 0.0}
    text = card(tmp_path, adversarial=4, metrics=metrics)
    assert (
        "around eps 4/255 (L-infinity); validation accuracy under a short attack with that eps: 0.500 (95% int" in text
    )
    assert "the linear probe was better under attack and is kept" in text
    assert "Longer attacks than the one above succeed more often" in text


def test_photos_that_were_left_out_are_named(tmp_path: Path) -> None:
    text = card(tmp_path, data={"skipped": ("a.jpg",), "contradicted": ("b", "c"), "leaking": ("d",)})
    assert "1 file left out (cannot be read): `a.jpg`" in text
    assert "2 files left out (identical to a file of another class): `b`, `c`" in text
    assert "1 file left out (near-duplicate of a photo in another split): `d`" in text
    assert "left out" not in card(tmp_path)


def test_names_do_not_change_the_card(tmp_path: Path) -> None:
    text = card(tmp_path, names=("a`b", "<i>|\n_c_"), photos=[5, 5], data={"skipped": ("`.jpg",)})
    assert "for the classes `` a`b ``, `<i>| _c_`. Backbone" in text
    assert "| a\\`b | 5 | " in text
    assert "| \\<i\\>\\| \\_c\\_ | 5 | " in text
    assert "cannot be read): `` `.jpg ``" in text


def test_the_data_set_has_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    names = {".": "photos", "tfds:a/b": "tfds:a/b", "/home/me/cats/": "cats", "x/A.ZIP": "A", "b.csv": "b", "/": "/"}
    for source, name in names.items():
        assert data_name(source) == name
    monkeypatch.chdir(tmp_path)
    text = card(tmp_path, data={"source": ".", "name": "photos"})
    assert "`photos`: 180 photos" in text
    assert header(text)["model-index"][0]["results"][0]["dataset"]["name"] == "photos"
