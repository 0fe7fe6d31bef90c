"""The layout of drawings, held against what a reader of a picture takes for granted."""

from __future__ import annotations

import re
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_index_streaming_ext.draw.layout import Box, Layout, Link, Place, lay_out

Point = tuple[float, float]

# Pictures are checked point by point, which says nothing of how fast they are drawn.
any_graph = settings(deadline=None)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Box], list[Link]]:
    """Any graph: cycles, self-loops, parallel links, islands, labels."""
    sizes = draw(st.lists(st.tuples(st.integers(72, 400), st.sampled_from([36, 48])), max_size=12))
    boxes = [Box(str(i), width, height) for i, (width, height) in enumerate(sizes)]
    if not boxes:
        return boxes, []
    ids = st.sampled_from([box.id for box in boxes])
    links = st.builds(Link, ids, ids, st.sampled_from([0.0, 0.0, 30.0, 90.0]))
    return boxes, draw(st.lists(links, max_size=24))


def points(path: str) -> list[Point]:
    """Points along the data of a path, close together."""
    found: list[Point] = []
    for command, data in re.findall(r"([MCV])([-\d. ]+)", path):
        numbers = [float(number) for number in data.split()]
        if command == "M":
            found.append((numbers[0], numbers[1]))
            continue
        x, y = found[-1]
        if command == "V":
            numbers = [x, y, x, numbers[0], x, numbers[0]]
        for k in range(1, 9):
            t = k / 8
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            xs, ys = (x, *numbers[0::2]), (y, *numbers[1::2])
            found.append(
                (
                    sum(w * v for w, v in zip(weights, xs, strict=True)),
                    sum(w * v for w, v in zip(weights, ys, strict=True)),
                )
            )
    return found


def inside(place: Place, point: Point, slack: float = 0.2) -> bool:
    """Whether a point is in a box by more than the rounding."""
    return (
        abs(point[0] - place.x) < place.width / 2 - slack
        and abs(point[1] - place.y) < place.height / 2 - slack
    )


def apart(a: Place, b: Place) -> bool:
    """Whether two boxes have space between them."""
    return (
        abs(a.x - b.x) >= (a.width + b.width) / 2 + 1
        or abs(a.y - b.y) >= (a.height + b.height) / 2 + 1
    )


def chain(*names: str) -> Layout:
    """A picture of boxes of one size, each linked to the next."""
    boxes = [Box(name, 80, 36) for name in dict.fromkeys(names)]
    return lay_out(boxes, [Link(a, b) for a, b in pairwise(names)])


@any_graph
@given(graphs())
def test_no_two_boxes_overlap(graph: tuple[list[Box], list[Link]]) -> None:
    """Whatever the graph, every box has its own place."""
    layout = lay_out(*graph)
    assert layout.places.keys() == {box.id for box in graph[0]}
    assert all(apart(a, b) for a, b in combinations(layout.places.values(), 2))


@any_graph
@given(graphs())
def test_every_link_runs_from_its_source_to_its_target(
    graph: tuple[list[Box], list[Link]],
) -> None:
    """Every link has a path that starts on the border of one box and ends on the other's."""
    layout = lay_out(*graph)
    for link, route in zip(graph[1], layout.routes, strict=True):
        path = points(route.path)
        for point, name in ((path[0], link.source), (path[-1], link.target)):
            assert inside(layout.places[name], point, slack=-0.2)
            assert not inside(layout.places[name], point)


@any_graph
@given(graphs())
def test_no_link_runs_through_a_box(graph: tuple[list[Box], list[Link]]) -> None:
    """Links pass beside boxes, so every box and every link can be seen."""
    layout = lay_out(*graph)
    for route in layout.routes:
        for point in points(route.path):
            assert not any(inside(place, point) for place in layout.places.values())


@any_graph
@given(graphs())
def test_labels_of_links_are_beside_boxes(graph: tuple[list[Box], list[Link]]) -> None:
    """A link's label has room of its own."""
    layout = lay_out(*graph)
    for link, route in zip(graph[1], layout.routes, strict=True):
        if link.label_width:
            label = Place(*route.label, link.label_width - 2, 12)
            assert all(apart(label, place) for place in layout.places.values())


@any_graph
@given(graphs())
def test_the_picture_is_as_large_as_what_is_in_it(graph: tuple[list[Box], list[Link]]) -> None:
    """Nothing is cut off at the border."""
    layout = lay_out(*graph)
    drawn = [point for route in layout.routes for point in points(route.path)]
    for place in layout.places.values():
        drawn.append((place.x - place.width / 2, place.y - place.height / 2))
        drawn.append((place.x + place.width / 2, place.y + place.height / 2))
    assert all(0 <= x <= layout.width and 0 <= y <= layout.height for x, y in drawn)


@any_graph
@given(graphs())
def test_equal_graphs_make_equal_pictures(graph: tuple[list[Box], list[Link]]) -> None:
    """The layout has no chance in it."""
    assert lay_out(*graph) == lay_out(*graph)


@any_graph
@given(graphs())
def test_parallel_links_do_not_cover_each_other(graph: tuple[list[Box], list[Link]]) -> None:
    """Every link has a path of its own, also between the same two boxes."""
    paths = [route.path for route in lay_out(*graph).routes]
    assert len(paths) == len(set(paths))


def test_the_first_box_is_at_the_top() -> None:
    """The first box is above what follows from it, also where a cycle returns to it."""
    layout = chain("start", "step", "event", "start")
    assert min(layout.places, key=lambda name: layout.places[name].y) == "start"


def test_ranks_go_by_the_longest_way() -> None:
    """A box is below everything that leads to it."""
    boxes = [Box(name, 80, 36) for name in "abcd"]
    links = [Link("a", "b"), Link("b", "c"), Link("c", "d"), Link("a", "d")]
    places = lay_out(boxes, links).places
    assert [places[name].y for name in "abcd"] == sorted({places[name].y for name in "abcd"})


def test_only_the_link_that_closes_a_cycle_runs_back() -> None:
    """In a cycle exactly the link that returns is marked."""
    assert [route.back for route in chain("a", "b", "c", "b").routes] == [False, False, True]


def test_a_straight_flow_is_drawn_straight() -> None:
    """Boxes that only follow each other stand in one column."""
    assert len({place.x for place in chain(*"abcdef").places.values()}) == 1


def test_a_long_chain_needs_no_deep_stack() -> None:
    """A chain that is longer than Python's stack is laid out like any other."""
    assert len(chain(*(str(i) for i in range(1500))).places) == 1500


def test_links_that_need_not_cross_do_not() -> None:
    """Boxes of a rank change sides when that saves a crossing."""
    boxes = [Box(name, 80, 36) for name in "abcde"]
    links = [Link("a", "b"), Link("a", "c"), Link("c", "d"), Link("b", "e")]
    places = lay_out(boxes, links).places
    assert (places["b"].x < places["c"].x) == (places["e"].x < places["d"].x)


def test_a_link_to_nowhere_is_an_error() -> None:
    """A link must name boxes that are there."""
    with pytest.raises(KeyError, match="nowhere"):
        lay_out([Box("a", 80, 36)], [Link("a", "nowhere")])
