"""Tables in narrow terminals: columns are left out and named, and nothing is cut."""

import io

import pytest
from rich.console import Console

from tledge.cli.fitted_table import TableColumn, fitted_table

pytestmark = pytest.mark.unit

COLUMNS = [
    TableColumn(heading="artifact", cells=["float32.tflite", "int8.tflite"]),
    TableColumn(heading="size", cells=["8.9 MB", "2.7 MB"], justify="right", rank=1),
    TableColumn(
        heading="top-1 (95%)",
        cells=["0.98 (0.95–0.99)", "0.97 (0.94–0.99)"],
        rank=2,
        short=TableColumn(heading="top-1", cells=["0.98", "0.97"]),
        name="95% intervals",
    ),
    TableColumn(heading="memory", cells=["31.2 MB", "19.1 MB"], justify="right", rank=3, legend="memory: peak"),
    TableColumn(heading="p50 ms", cells=["0.183", "0.072"], justify="right"),
]


def printed(width: int, columns: list[TableColumn] = COLUMNS) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(fitted_table(columns, width, caption="milliseconds", elsewhere="--json"))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "headings", "below"),
    [
        (57, "artifact size top-1 (95%) memory p50 ms", "milliseconds; memory: peak"),
        (56, "artifact size top-1 (95%) p50 ms", "milliseconds not shown in 56 columns: memory;"),
        (48, "artifact size top-1 (95%) p50 ms", "milliseconds not shown in 48 columns: memory;"),
        (47, "artifact size top-1 memory p50 ms", "milliseconds; memory: peak not shown in 47 columns: 95% intervals;"),
        (37, "artifact size top-1 p50 ms", "milliseconds not shown in 37 columns: 95% intervals, memory;"),
        (36, "artifact top-1 p50 ms", "milliseconds not shown in 36 columns: size, 95% intervals, memory;"),
    ],
)
def test_columns_are_left_out_by_rank_and_named(width: int, headings: str, below: str) -> None:
    lines = printed(width)
    assert " ".join(lines[0].split()) == headings
    assert " ".join(" ".join(lines[3:]).split()).startswith(below)
    assert lines[1].startswith("float32.tflite")
    assert lines[1].endswith("0.183")
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)


def test_columns_that_are_always_shown_wrap_but_numbers_stay_whole() -> None:
    name = "a-model-of-mine-with-a-name-that-is-wider-than-the-terminal.tflite"
    columns = [
        TableColumn(heading="artifact", cells=[name]),
        TableColumn(heading="p50 ms", cells=["12,345.678"], justify="right"),
    ]
    lines = printed(40, columns)
    assert max(map(len, lines)) <= 40
    assert lines[1].endswith("12,345.678")
    assert "".join(line.split()[0] for line in lines[1:-1]) == name
