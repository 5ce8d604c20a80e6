"""Plots stand on their numbers."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from tledge.bench.report.plots.bars import Bar, Group, draw_bars
from tledge.bench.report.plots.curves import Curve, coincident, draw_curves
from tledge.bench.report.plots.labels import leader_end, position_labels
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.plots.matrix import draw_matrix, largest_confusions
from tledge.bench.report.plots.scale import Linear, Log, padded, padded_log, tick_texts
from tledge.bench.report.plots.scatter import Point, draw_scatter, rising_points
from tledge.bench.report.plots.strips import Strip, density, draw_strips
from tledge.bench.report.plots.svg import Box, Drawing, shorten, text_width

pytestmark = pytest.mark.unit

SVG = "{http://www.w3.org/2000/svg}"


def parse(drawing: Drawing) -> ET.Element:
    return ET.fromstring(str(drawing))


def of_class(drawing: Drawing, word: str) -> list[ET.Element]:
    return [item for item in parse(drawing).iter() if word in item.get("class", "").split()]


def centre(marker: ET.Element) -> tuple[float, float]:
    corners = np.array([pair.split(",") for pair in marker.attrib["points"].split()], float)
    return tuple(corners.mean(axis=0))


def point(label: str, latency: float, top1: float, number: int = 0) -> Point:
    return Point(
        label=label,
        latency=latency,
        latency_interval=(latency * 0.99, latency * 1.01),
        top1=top1,
        top1_interval=(top1 - 0.02, top1 + 0.01),
        marker=Marker(number),
        explanation="litert:cpu:2",
        on_front=True,
    )


@pytest.mark.parametrize(
    ("scale", "most", "expected"),
    [
        (Linear(0.0, 1.0, 0, 100), 6, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (Linear(0.93, 0.992, 0, 100), 4, [0.94, 0.96, 0.98]),
        (Linear(-3.0, 3.0, 0, 100), 3, [-2, 0, 2]),
        (Log(0.9, 80.0, 0, 100), 7, [1, 2, 5, 10, 20, 50]),
        (Log(0.9, 900.0, 0, 100), 4, [1, 10, 100]),
        (Log(2.8, 4.4, 0, 100), 5, [3, 3.5, 4]),
        (Log(0.168, 88.0, 0, 100), 5, [0.3, 1, 3, 10, 30]),
        (Log(0.168, 88.0, 0, 100), 4, [1, 10]),
        (Log(3.90, 4.01, 0, 100), 4, [3.9, 3.95, 4.0]),
    ],
)
def test_ticks_are_round_numbers_within_the_scale(scale: Linear | Log, most: int, expected: list[float]) -> None:
    assert scale.ticks(most) == pytest.approx(expected)


def test_every_scale_has_two_ticks_or_more_at_round_numbers() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        most, low = int(rng.integers(3, 9)), float(10 ** rng.uniform(-3, 3))
        high = low * float(10 ** rng.choice([rng.uniform(0.005, 1), rng.uniform(1, 4)]))
        for scale in (Linear(low, high, 0, 100), Log(low, high, 0, 100)):
            ticks = scale.ticks(most)
            assert 2 <= len(ticks) <= most, (scale, most, ticks)
            assert low * (1 - 1e-6) <= ticks[0] < ticks[-1] <= high * (1 + 1e-6)
            assert all(float(f"{tick:.4g}") == pytest.approx(tick, rel=1e-9) for tick in ticks), ticks


def test_scales_put_values_where_they_belong() -> None:
    assert [Linear(0.0, 10.0, 100.0, 0.0)(value) for value in (0, 2.5, 10)] == [100, 75, 0]
    log = Log(1.0, 100.0, 0.0, 200.0)
    assert [log(value) for value in (1, 10, 100)] == pytest.approx([0, 100, 200])
    assert padded(5.0, 5.0, 0.1) == (4.5, 5.5)
    assert padded_log(2.0, 2.0, 0.1) == pytest.approx((2 / 1.1, 2.2))
    assert tick_texts([0.9, 0.95, 1.0]) == ["0.90", "0.95", "1.00"]
    assert tick_texts([0.5, 1, 1000], alike=False) == ["0.5", "1", "1,000"]


def test_the_line_of_the_front_rises() -> None:
    points = [
        point("slow and best", 5.0, 0.99),
        point("fast", 1.0, 0.90),
        replace(point("not on the front", 0.5, 0.97), on_front=False),
        point("as accurate, slower", 3.0, 0.95),
        point("between", 2.0, 0.95),
        point("less accurate, not significantly", 1.5, 0.88),
    ]
    assert [item.label for item in rising_points(points)] == ["fast", "between", "slow and best"]
    assert rising_points([replace(item, on_front=False) for item in points]) == []


@pytest.mark.parametrize("width", [350.0, 960.0])
def test_points_stand_where_their_values_say(width: float) -> None:
    points = [point("a", 1.0, 0.90), point("b", 10.0, 0.98, 1), replace(point("c", 100.0, 0.94, 2), on_front=False)]
    drawing = draw_scatter(points, name="plot", width=width)
    places = [centre(marker) for marker in of_class(drawing, "marker")]
    across, down = np.array(places).T
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)
    assert (down[0] - down[2]) == pytest.approx(down[2] - down[1], abs=0.2)
    assert down[1] < down[0], "more accurate is higher"
    assert [("hollow" in item.attrib["class"]) for item in of_class(drawing, "marker")] == [False, False, True]
    whiskers = of_class(drawing, "whisker")
    assert len(whiskers) == 3
    upright = next(iter(whiskers[0]))
    assert float(upright.attrib["y2"]) < down[0] < float(upright.attrib["y1"])
    assert "On the Pareto front: a (litert:cpu:2), b (litert:cpu:2)." in drawing.description


def test_a_single_point_without_intervals_is_drawn() -> None:
    lone = replace(point("a", 1.0, 1.0), latency_interval=None, top1_interval=None)
    assert len(of_class(draw_scatter([lone], name="plot", width=350), "marker")) == 1


def test_no_label_covers_another() -> None:
    rng = np.random.default_rng(1)
    points = [(300 + float(x), 100 + float(y)) for x, y in rng.normal(0, 25, (9, 2))]
    obstacles = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    frame = Box(0, 0, 700, 300)
    boxes = position_labels(points, [(90.0, 15.0)] * 9, frame, obstacles)
    for number, box in enumerate(boxes):
        assert box.overlap(frame) == pytest.approx(box.area)
        assert all(box.overlap(other) == 0 for other in [*boxes[:number], *obstacles])


def test_numbers_of_neighbours_do_not_read_as_one() -> None:
    points = [(100.0 + 9 * number, 100.0) for number in range(10)]
    boxes = position_labels(points, [(7.0, 15.0)] * 10, Box(0, 0, 350, 300), [])
    for number, box in enumerate(boxes):
        for other in boxes[:number]:
            beside = min(box.bottom, other.bottom) - max(box.top, other.top) > 2
            assert not beside or max(box.left, other.left) - min(box.right, other.right) >= 5


def test_no_label_can_be_taken_for_that_of_another_point() -> None:
    points = [(248, 226), (251, 226), (272, 226), (274, 226), (277, 226), (265, 202), (282, 250), (152, 202)]
    obstacles = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    obstacles += [Box(x - 1, y - 110, x + 1, y + 150) for x, y in points]  # whiskers
    boxes = position_labels(points, [(95.0, 15.0)] * len(points), Box(60, 0, 900, 460), obstacles)
    for (x, y), box in zip(points, boxes, strict=True):
        near = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
        leader = np.linspace((x, y), near, 30)
        others = [other for other in points if np.hypot(other[0] - x, other[1] - y) > 12]
        assert all(np.hypot(*(leader - other).T).min() > 6 for other in others), "a leader passes another point by"


def test_no_label_or_leader_crosses_another() -> None:
    rng = np.random.default_rng(3)
    points = [(300 + float(x), 200 + float(y)) for x, y in rng.normal(0, 12, (6, 2))]
    obstacles = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    obstacles += [Box(x - 1, y - 80, x + 1, y + 80) for x, y in points]  # whiskers
    boxes = position_labels(points, [(60.0, 15.0)] * 6, Box(0, 0, 700, 400), obstacles)
    ends = [leader_end(point, box) for point, box in zip(points, boxes, strict=True)]
    leaders = [np.linspace(point, end, 60) for point, end in zip(points, ends, strict=True)]
    for number, (box, leader) in enumerate(zip(boxes, leaders, strict=True)):
        for other, box_there in enumerate(boxes):
            if other == number:
                continue
            assert box.overlap(box_there) == 0
            assert all(box_there.distance(tuple(step)) > 0 for step in leader), "a leader runs through a label"
        assert all(box.overlap(obstacle) == 0 for obstacle in obstacles), "a label stands on a line"


def test_neighbours_of_one_target_share_a_label_and_a_narrow_plot_has_numbers() -> None:
    points = [point(name, latency, 0.9) for name, latency in (("a", 1.0), ("b", 1.001), ("c", 50), ("d", 70), ("e", 9))]
    points[1] = replace(points[1], latency_interval=None)
    wide, narrow = (draw_scatter(points, name="plot", width=width) for width in (960.0, 350.0))
    placed = {item.text: float(item.attrib["y"]) for item in of_class(wide, "label")}
    assert placed["b"] - placed["a"] == 15, "one below the other"
    assert [item.text for item in of_class(narrow, "label")] == ["1", "2", "3", "4", "5"]
    assert len(of_class(narrow, "marker")) == 5


def test_an_interval_much_wider_than_the_points_ends_at_the_frame() -> None:
    points = [point("a", 1.0, 0.9), replace(point("b", 2.0, 0.9), latency_interval=(0.001, 5000.0))]
    drawing = draw_scatter(points, name="plot", width=960.0)
    assert all(
        0 <= float(line.attrib[end]) <= 960
        for item in of_class(drawing, "whisker")
        for line in item
        for end in ("x1", "x2")
    )
    apart = np.diff([centre(marker)[0] for marker in of_class(drawing, "marker")])
    assert apart > 150, "the points are not squeezed together"


@pytest.mark.parametrize("width", [350.0, 960.0])
def test_a_strip_shows_where_the_queries_are_and_every_round(width: float) -> None:
    rng = np.random.default_rng(0)
    rounds = [1 + rng.gamma(2, 0.05, 100), 1.2 + rng.gamma(2, 0.05, 100), 1 + rng.gamma(2, 0.05, 100)]
    strip = Strip(label="a", target="t", rounds=rounds, percentiles=(1.1, 1.3, 1.5), marker=Marker(0))
    slow = replace(strip, rounds=[10 * samples for samples in rounds], percentiles=(11.0, 13.0, 15.0))
    drawing = draw_strips([strip, slow], name="plot", width=width)
    assert len(of_class(drawing, "hill")) == 2
    shown = of_class(drawing, "round")
    assert len(shown) == 6
    first, second, third = (float(item.find(f"{SVG}circle").attrib["cx"]) for item in shown[:3])  # type: ignore[union-attr]
    assert second > max(first, third), "the slower round stands to the right"
    marks = [float(item.attrib["x1"]) for item in of_class(drawing, "percentile")]
    apart = np.array(marks[3:]) - np.array(marks[:3])
    assert apart == pytest.approx([apart[0]] * 3, abs=0.05), "ten times is the same way everywhere"


def test_a_density_is_highest_where_most_queries_are() -> None:
    scale = Log(1.0, 100.0, 0.0, 200.0)
    pixels, heights = density(np.array([10.0] * 50 + [30.0] * 20 + [1000.0]), scale)
    assert pixels[heights.argmax()] == pytest.approx(scale(10.0), abs=2)
    assert heights[np.abs(pixels - scale(30.0)).argmin()] == pytest.approx(0.4, abs=0.05)
    assert heights[-1] > 0, "what is beyond the axis counts at its end"
    assert heights[np.abs(pixels - scale(60.0)).argmin()] == 0


@pytest.mark.parametrize("width", [350.0, 960.0])
def test_bars_are_as_long_as_their_values(width: float) -> None:
    groups = [
        Group("one", (Bar(value=50, text="50", name="batch 1"), Bar(value=100, text="100", name="batch 8", best=True))),
        Group("two", (Bar(value=0, text="0", name="batch 1"),)),
    ]
    drawing = draw_bars(groups, name="plot", title="Throughput", width=width)
    lengths = [float(item.attrib["width"]) for item in parse(drawing).iter(f"{SVG}rect")]
    assert lengths[1] == pytest.approx(2 * lengths[0], rel=1e-3)
    assert lengths[2] == 1
    assert drawing.description == "one: batch 1 50, batch 8 100 · best; two: batch 1 0."
    (best,) = of_class(drawing, "best")
    assert "100 · best" in [item.text for item in best.iter(f"{SVG}text")]


def test_a_bar_far_longer_than_the_others_is_cut_only_where_asked() -> None:
    def lengths(*values: float, cut: bool = True) -> tuple[list[float], int]:
        group = Group("one", tuple(Bar(value=value, text="x") for value in values))
        drawing = draw_bars([group], name="plot", title="Memory", width=350, cut=cut)
        found = [float(item.attrib["width"]) for item in parse(drawing).iter(f"{SVG}rect")]
        return found, len(of_class(drawing, "gap"))

    (outlier, first, second, _), gaps = lengths(770, 32, 16, 20)
    assert (gaps, outlier / first, first / second) == (1, pytest.approx(1.2, rel=1e-3), pytest.approx(2, rel=1e-3))
    assert lengths(770, 32, 16, 20, cut=False)[1] == 0
    assert lengths(128, 32, 16, 20)[1] == 0, "four times as long is no outlier"
    assert lengths(129, 32, 16, 20)[1] == 1
    assert lengths(770, 700, 16, 20)[1] == 0, "half of the bars are no outliers"
    assert lengths(770, 700, 16, 20, 20, 20, 20, 20)[1] == 2
    assert lengths(5, 0)[1] == 0


def test_a_matrix_shows_every_count_and_its_share() -> None:
    counts = np.array([[8, 2, 0], [0, 5, 0], [1, 0, 0]])
    drawing = draw_matrix(counts, ["cat", "dog", "emu"], name="plot", title="Confusion", width=350)
    fields = [rect for rect in parse(drawing).iter(f"{SVG}rect") if "style" in rect.attrib]
    shares = [float(re.sub("--share:", "", rect.attrib["style"])) for rect in fields]
    assert shares == [0.8, 0.2, 0, 0, 1, 0, 1, 0, 0]
    assert [rect.attrib["class"] for rect in fields[:4]] == ["right", "wrong", "wrong", "wrong"]
    assert drawing.description == "13 of 16 right. Most frequent confusions: cat as dog 2, emu as cat 1."


def test_a_matrix_of_many_classes_is_compact_and_the_largest_confusions_are_listed() -> None:
    counts = 10 * np.eye(37, dtype=np.int64)
    counts[3, 7], counts[20, 1] = 4, 6
    drawing = draw_matrix(counts, [f"class {i}" for i in range(37)], name="plot", title="Confusion", width=350)
    assert len([rect for rect in parse(drawing).iter(f"{SVG}rect") if "style" in rect.attrib]) == 39
    assert [item.text for item in parse(drawing).iter(f"{SVG}text")] == ["prediction", "true class"]
    assert largest_confusions(counts, 12) == [(20, 1, 6), (3, 7, 4)]


def test_curves_go_through_their_points() -> None:
    curve = Curve("a", ((0.0, 1.0), (4.0, 0.5), (8.0, 0.0)), Marker(1))
    drawing = draw_curves([curve], name="plot", title="PGD", across_title="eps", up_title="top-1", width=350)
    (x0, y0), (x1, y1), (x2, y2) = (centre(marker) for marker in of_class(drawing, "marker"))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.3)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.3)
    assert y0 < y2


def test_coincident_curves_are_one_line_and_others_differ_in_their_dashes() -> None:
    a = Curve("a", ((0.0, 1.0), (4.0, 0.5)), Marker(0))
    alike, near = Curve("b", ((0.0, 1.0), (4.0, 0.503)), Marker(1)), Curve("c", ((0.0, 1.0), (4.0, 0.51)), Marker(2))
    assert [[curve.label for curve in group] for group in coincident([a, alike, near])] == [["a", "b"], ["c"]]
    drawing = draw_curves([a, alike, near], name="plot", title="t", across_title="eps", up_title="top-1", width=350)
    paths = list(parse(drawing).iter(f"{SVG}path"))
    assert len({path.get("stroke-dasharray") for path in paths}) == len(paths) == 2
    assert "b: 1.000 at 0, 0.503 at 4" in drawing.description
    assert [len(group) for group in coincident([a, Curve("d", ((0.0, 1.0),), Marker(3))])] == [1, 1]


def test_42_series_differ_in_colour_or_shape() -> None:
    assert len({Marker(number).draw(0, 0, 5) for number in range(42)}) == 42


def test_names_that_are_too_long_lose_their_middle() -> None:
    name = "mobilenet_v2_1.00_160-dynamic.tflite"
    assert shorten(name, 1000) == name
    short = shorten(name, 120)
    assert text_width(short) <= 120
    assert short.startswith("mobi")
    assert short.endswith(".tflite")


def test_what_stands_in_a_drawing_is_escaped() -> None:
    drawing = draw_bars([Group("<b>&", (Bar(value=1, text='"1"'),))], name="plot", title="<i>", width=350)
    assert parse(drawing).find(f"{SVG}title").text == "<i>"  # type: ignore[union-attr]
    assert "<b>" not in str(drawing)
