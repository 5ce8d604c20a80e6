"""Wrong usage gets plain error messages, not those of the command-line parser, and the exit code 2.

Wrong usage is what no file, machine or installation could make right: unknown names, options out of range, options that
contradict each other or do not apply, missing arguments. A file or folder that is absent or cannot be used ends with 1.
"""

import shlex

import pytest
from command_trials import CommandForks
from typer.testing import CliRunner

from tledge.cli.app import SUMMARIES, app


@pytest.mark.unit
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


WRONG = {
    "train": """
        --nosuch | extra | --backbone nosuch | --epochs -1 | --epochs x | --image-size 5 | --batch-size 0
        --test-fraction 2 | --adversarial -1 | --adversarial 99 | --precision nosuch | --learning-rate 0
        --resume --epochs 3 | --resume --backbone vgg16 | --seed x
    """,
    "export": """
        extra | --quantize nosuch | --format nosuch | --max-drop -1 | --sparsity 2 | --calibration-images 0
        --data x | --labels x | --model x.keras | --model x.keras --data x --run y | --sparsity 0.5 --max-drop 1
    """,
    "bench": """
        x.tflite --target litert:cpu:0 | x.tflite --target litert:cpu:2:3 | x.tflite --rounds 0 | x.tflite --rounds 101
        x.tflite --seconds -1 | x.tflite --batch-sizes 0 | x.tflite --batch-sizes x | x.tflite --batch-sizes 8,
        x.tflite --rigor nosuch | x.tflite --rigor mlperf --seconds 3 | x.tflite --on nosuch
        x.tflite --on emulated:pi9 | x.tflite --on ssh: | x.tflite --on emulated:pi5 --seconds 2
        x.tflite --on ssh:pi@board --profile | x.tflite --ssh-config x | x.tflite --run y
        x.tflite --fail-on nosuch | x.tflite --fail-on 'p90_ms > 1.1x' | x.tflite --fail-on 'speed > 3'
        x.tflite --export nosuch | x.tflite --seen-photos x | x.tflite --seen-photos keep
        x.tflite --corruption-images 0 | --output x | --data x | --input-size 96x96 | --seen-photos keep
    """,
    "predict": """
        | x.tflite | x.tflite '' | x.tflite - - | x.tflite --camera x | x.tflite --camera 0 --watch y
        x.tflite y --every 0 | x.tflite y --every x | x.tflite y.jpg --every 3 | x.tflite --watch . --every 2
        x.tflite y --top 0 | x.tflite y --target nosuch | x.tflite y --target litert:cpu:0
        x.tflite y --target litert:cpu:4:4 | x.tflite y --target litert:cpu:99999 | x.tflite y --feed 'cat z'
        x.tflite y --feed '' | x.tflite - --systemd | x.tflite - --systemd --feed '' | x.tflite --systemd
        x.tflite y --systemd --feed 'cat z' | x.tflite y --systemd --target nosuch
        x.tflite y.jpg --systemd --target litert:cpu:0
    """,
    "visualize": """
        nosuch | --nosuch | ideal --steps 0 | --tv 0 | --l2 2 | --jitter -1 | --scales 0 | --max-eps 256 | --patch 1
        --tiles 0 | --points 3 | --method nosuch | --channels 0 | --images 0 | --seed -1 | --backbone nosuch
        --weights x | --image-size 64 | --labels x | --backbone vgg16 --run x | ideal --points 20
        features --photo x --class y
    """,
    "adopt": """
        | x.tflite y | x.tflite --output nosuch | x.tflite --input-size x | x.tflite --layout x | x.tflite --colour x
        x.tflite --input-range x | x.tflite --mean x | x.tflite --resize x
    """,
    "compare": "--nosuch | --sort nosuch | x --sort p95",
    "demo": "extra | --nosuch",
    "doctor": "extra | --nosuch",
}
"""Arguments of each command that no file could make right; the files that they name do not exist."""


MODULES = {name: [f"tledge.cli.commands.{name}", f"tledge.{name}.{name}_api"] for name in ("train", "export", "bench")}
MODULES["visualize"] = [f"tledge.{name}" for name in ("cli.commands.visualize", "visualize.visualize_api")]
"""What a command imports, to import it once."""


def rows(text: str) -> list[str]:
    return [row.strip() for line in text.strip().splitlines() for row in line.split(" | ")]


@pytest.mark.unit
def test_every_command_has_wrong_usages() -> None:
    assert WRONG.keys() == SUMMARIES.keys()


@pytest.mark.parametrize("command", WRONG)
def test_wrong_usage_ends_with_2_whatever_the_files_hold(
    command: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Found before any file is looked for, and before anything is written."""
    folder = tmp_path_factory.mktemp("usage")
    lines = [row.removeprefix("|").strip() for row in rows(WRONG[command])]
    with CommandForks(*MODULES.get(command, [])) as commands:
        trials = {line: commands.run(command, *shlex.split(line), cwd=folder) for line in lines}
    assert {line: trial.code for line, trial in trials.items()} == dict.fromkeys(lines, 2)
    for trial in trials.values():
        assert not trial.faults(), trial
        assert "Error: " in trial.err or trial.err.startswith("tledge: "), trial
    assert not list(folder.iterdir())


UNUSED = {
    "train --no-augment --rotation 5 --flip": ("--flip, --rotation have no effect with --no-augment; leave them out"),
    "train --probe-epochs 5": (
        "--probe-epochs has no effect with --weights none, which trains every layer; leave it out"
    ),
    "train --data x --weights none --fine-tune-from 2": (
        "--fine-tune-from has no effect with --weights none, which trains every layer; leave it out"
    ),
    "train --data x --no-fine-tune --epochs 3 --no-augment": (
        "--epochs, --augment have no effect with --no-fine-tune, which trains the linear probe alone; leave them out"
    ),
    "train --resume --no-augment": "--resume continues a run with its own options; leave out --augment",
    "export --format tflite --for arm": (
        "--for has no effect without the format onnx: TFLite files are the same for every CPU; leave it out"
    ),
    "export --labels x --colour bgr": (
        "--labels, --colour can only be used with --model; leave it out, or name a model"
    ),
    "bench x.tflite --runs y": "--runs has no effect with FILE, whose results go to --output; leave it out",
    "bench x.tflite --seen-photos keep": "--seen-photos keep is about labelled photos; name them with --data",
    "bench --output x": "--output x needs model files; a run is measured on its own test split",
    "bench --repeat x --runs y --target litert": (
        "--repeat takes these options from the earlier benchmark; leave out: --runs, --target"
    ),
    "predict x.tflite y --feed z": "--feed needs --systemd; otherwise use a pipe: COMMAND | tledge predict ARTIFACT -",
    "predict x.tflite y.jpg --every 2": "--every",
    "visualize --backbone vgg16 --runs y": "--runs has no effect with --backbone, which needs no run; leave it out",
    "visualize --labels x": "--labels is for a plain backbone: add --backbone, as in --backbone vgg16",
    "visualize features --photo x --images 2": (
        "--images has no effect with --photo: it is a number of test photos; leave it out"
    ),
    "visualize ideal --tiles 3": "--tiles is an option of confusions, not of ideal; leave it out or name that kind",
}
"""Options that a form of a command does not use, and what the command says about them."""


@pytest.mark.parametrize("command", sorted({line.partition(" ")[0] for line in UNUSED}))
def test_an_option_without_effect_is_an_error(command: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("unused")
    lines = [line for line in UNUSED if line.startswith(f"{command} ")]
    with CommandForks(*MODULES.get(command, [])) as commands:
        trials = {line: commands.run(*shlex.split(line), cwd=folder) for line in lines}
    assert {line: trial.code for line, trial in trials.items()} == dict.fromkeys(lines, 2)
    for line, trial in trials.items():
        assert UNUSED[line] in " ".join(trial.err.split()), trial


@pytest.mark.parametrize(
    "line",
    [
        "train --data gone",
        "export --run gone",
        "export --model gone.keras --data gone",
        "bench gone.tflite",
        "bench --run gone",
        "bench gone.tflite --against gone",
        "bench --repeat gone",
        "bench gone.tflite --on ssh:pi@board --ssh-config gone",
        "predict gone.tflite a.jpg",
        "predict gone.tflite --watch gone",
        "predict gone.tflite gone.jpg --systemd",
        "visualize --run gone",
        "adopt gone.tflite",
    ],
)
def test_what_is_absent_ends_with_1(line: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with CommandForks(f"tledge.cli.commands.{line.split(maxsplit=1)[0]}") as commands:
        trial = commands.run(*shlex.split(line), cwd=tmp_path_factory.mktemp("absent"))
    assert trial.code == 1, trial
    assert not trial.faults(), trial
    assert trial.err.startswith("tledge: "), trial
