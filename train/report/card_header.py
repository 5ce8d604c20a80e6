"""The YAML header of a model card, as Hugging Face reads it.

Source: https://huggingface.co/docs/hub/model-cards
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tledge.core.manifest import RunManifest
from tledge.core.terminal_text import escape_hidden
from tledge.train.backbone import BACKBONES
from tledge.train.train_settings import Settings
from tledge.train.weights import IMAGENET


def card_header(manifest: RunManifest, settings: Settings) -> str:
    """Returns the header. A field that is not known is a comment, since an empty one would not be valid."""
    dataset = _quoted(settings.dataset_name or manifest.data.title)
    lines = [
        f"license: {_quoted(settings.license)}"
        if settings.license
        else "# license: not given; replace this line, for example by 'license: apache-2.0'",
        f"datasets:\n- {dataset}" if settings.dataset_name else "# datasets: not given; name the data set here",
        f"# base_model: no Hugging Face model; {_origin(settings)}",
        "library_name: keras",
        "pipeline_tag: image-classification",
        f"tags:\n- {_plain_or_quoted(settings.backbone)}" + "\n- transfer-learning" * settings.pretrained,
        "metrics:\n- accuracy",
        f"model-index:\n- name: {_quoted(manifest.name)}\n  results:\n  - task:\n      type: image-classification",
        f"    dataset:\n      name: {dataset}\n      type: {dataset}\n      split: test",
        f"    metrics:\n    - type: accuracy\n      name: Test top-1\n      value: {manifest.metrics['test_top1']:.4f}",
    ]
    return "\n".join(["---", *lines, "---"])


def _origin(settings: Settings) -> str:
    if not settings.pretrained:
        return "trained from random weights"
    application = f"keras.applications.{BACKBONES.load(settings.backbone).application}"
    source = "ImageNet weights" if settings.weights == IMAGENET else f"weights {_quoted(Path(settings.weights).name)}"
    return f"{application} with {source}"


def _plain_or_quoted(word: str) -> str:
    return word if re.fullmatch(r"[a-z][a-z0-9_]*", word) else _quoted(word)


def _quoted(text: str) -> str:
    """Returns a text as a YAML string in double quotes on one line, whose escapes JSON shares.

    JSON leaves some characters as they are that YAML does not allow or takes for the end of a line (YAML 1.2, 5.1).
    """
    return escape_hidden(json.dumps(text, ensure_ascii=False), lambda sign: f"\\U{ord(sign):08x}")
