"""Commands follow from the dataclasses that declare their options."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from tledge.bench.results.bench_options import BenchOptions
from tledge.cli.app import SUMMARIES, app
from tledge.cli.command_builder import Given, GroupedCommand, Json, build_command
from tledge.core.errors import OptionError
from tledge.core.options import ARGUMENTS, option, option_names, options_of
from tledge.train.train_options import RunOptions, TrainOptions, check_resume
from tledge.visualize.kind import KINDS
from tledge.visualize.visualize_options import KindOptions


@dataclass(frozen=True, kw_only=True)
class Sample:
    files: Sequence[Path | str] = option((), "Files.", group=ARGUMENTS, metavar="[FILE]...")
    epochs: int | None = option(None, "How many; see `names`.", group="Work", default_text="6, or 9 with `deep`")
    rate: float = option(0.5, "How fast.", group="Work")
    deep: bool | None = option(None, "Go deep.", group="Shape", default_text="on")
    wide: bool = option(False, "Go wide.", group="Shape")
    names: str | Sequence[str] = option((), "Names.", group="Shape", separator=",", flag="name")
    sizes: Sequence[int] = option((1, 8), "Sizes.", group="Work", separator=",")
    hidden: int = option(1, "Python only.")


@pytest.fixture
def called() -> tuple[Callable[..., Any], list[dict[str, Any]]]:
    received: list[dict[str, Any]] = []
    sample = typer.Typer(rich_markup_mode=None)

    @sample.command(cls=GroupedCommand)
    @build_command("sample", Sample, groups=("Work", "Shape", "Output"))
    def run(given: Given, *, json: Json = False) -> None:
        """Do it with `deep`."""
        received.append({**given.values(), "json": json, "flags": given.flags(given.names)})

    return lambda *arguments: CliRunner().invoke(sample, list(arguments), catch_exceptions=True), received


def test_only_given_options_are_passed_on_each_as_python_takes_it(called: Any) -> None:
    invoke, received = called
    assert invoke().exit_code == 0
    assert received.pop() == {"json": False, "flags": []}
    assert (
        invoke("a", "b", "--epochs", "3", "--no-deep", "--name", "x,y", "--name", "z", "--sizes", "2,4,2").exit_code
        == 0
    )
    assert received.pop() == {
        "files": (Path("a"), Path("b")),
        "epochs": 3,
        "deep": False,
        "names": ("x", "y", "z"),
        "sizes": (2, 4),
        "json": False,
        "flags": ["FILE", "--epochs", "--sizes", "--deep", "--name"],
    }
    failed = invoke("--sizes", "2;4")
    assert isinstance(failed.exception, OptionError)
    assert str(failed.exception) == "`sizes` takes whole numbers separated by commas, as in 1,8; received '2;4'"
    assert invoke("--epochs", "many").exit_code == 2
    assert invoke("--hidden", "2").exit_code == 2


def test_the_help_groups_options_and_shows_their_defaults(called: Any) -> None:
    text = " ".join(called[0]("--help").output.split())
    assert "Do it with --deep." in text
    shown = text[text.index("Arguments:") :]
    order = ("Arguments:", "Work:", "--epochs", "Shape:", "--no-deep", "Output:", "--json")
    found = [shown.index(part) for part in order]
    assert found == sorted(found)
    for part in ("see --name. [default: 6, or 9 with --deep]", "[default: 0.5]", "[default: 1,8]", "[default: on]"):
        assert part in text, part
    assert "--no-wide" not in text
    assert "--hidden" not in text


def test_every_option_of_every_command_shows_its_default_and_stands_under_a_heading() -> None:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.rich_help_panel, f"{name} {parameter.opts}"
                off = parameter.is_flag and not parameter.secondary_opts
                assert off or "[default: " in parameter.help, f"{name} {parameter.opts}"


def test_the_summary_of_each_command_is_the_first_line_of_its_help() -> None:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert command.help.splitlines()[0] == SUMMARIES[name]


def test_train_bench_and_visualize_declare_each_option_of_python_once() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, declared in (("train", TrainOptions), ("bench", BenchOptions)):
        shown = {parameter.name for parameter in commands[name].params}
        assert {item.name for item in options_of(declared) if item.group} <= shown
    assert "progress" not in {parameter.name for parameter in commands["train"].params}


def test_the_options_of_kinds_are_those_that_visualize_declares() -> None:
    kinds = [KINDS.load(name) for name in KINDS.names()]
    assert frozenset().union(*(kind.options() for kind in kinds)) == option_names(KindOptions)
    for item in options_of(KindOptions):
        takers = [kind for kind in kinds if item.name in kind.options()]
        for kind in takers:
            value = getattr(kind, item.name)
            assert len(takers) == len(kinds) - 1 or item.name == "seed" or kind.name in item.help, item
            if isinstance(value, int | float | str):
                assert f"{value:g}" if isinstance(value, float) else str(value) in item.default_text, (kind, item)


def test_resuming_refuses_the_options_of_the_run_alone() -> None:
    check_resume({"run", "runs", "resume", "json"})
    with pytest.raises(OptionError, match="leave out `epochs`, `batch_size`$"):
        check_resume({"batch_size", "epochs", "runs"})
    assert "runs" not in option_names(RunOptions)
