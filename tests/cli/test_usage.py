"""Wrong usage gets plain error messages, not those of the command-line parser."""

import pytest
from typer.testing import CliRunner

from tledge.cli.app import app

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train --image-size big", "Error: --image-size takes a whole number; received 'big'"),
        ("bench --rounds 1.5", "Error: --rounds takes a whole number; received '1.5'"),
        ("bench --seconds x", "Error: --seconds takes a number; received 'x'"),
        ("predict a.tflite", "Error: name a photo, a folder, a video or -, or give --watch or --camera"),
    ],
)
def test_wrong_values_are_named_in_plain_words(arguments: str, said: str) -> None:
    done = CliRunner().invoke(app, arguments.split())
    assert done.exit_code == 2
    assert done.output.splitlines()[-1] == said
