"""Drawings of workflows: what is in the file, and what is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.llms import MockLLM
from workflows import Workflow, step
from workflows.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
)
from workflows.representation import get_workflow_representation
from workflows.resource import (
    Resource,  # pyright: ignore[reportUnknownVariableType] # an open type parameter upstream
)

from llama_index_streaming_ext.draw import draw_all_possible_flows


class Draft(Event):
    """Something written."""

    text: str = ""


class Rejected(Event):
    """Not good enough."""


class Question(InputRequiredEvent):
    """A question to a person."""


class Reply(HumanResponseEvent):
    """What the person says."""


class Store:
    """A resource."""


def open_store() -> Store:
    """Open the store."""
    return Store()


class Summary(Workflow):
    """The smallest workflow."""

    @step
    async def summarise(self, ev: StartEvent) -> StopEvent:
        """Sum up."""
        return StopEvent()


class Review(Workflow):
    """A loop, a person, a resource and a child."""

    @step
    async def write(
        self,
        ev: StartEvent | Rejected,
        old: Annotated[Store, Resource(open_store)],
        new: Annotated[Store, Resource(open_store)],
    ) -> Draft:
        """Write a draft."""
        return Draft()

    @step
    async def ask(self, ev: Draft) -> Question:
        """Ask."""
        return Question()

    @step
    async def judge(self, ev: Reply) -> Rejected | StopEvent:
        """Judge."""
        await Summary().run()
        return StopEvent()


class NoSteps(Workflow):
    """Nothing to do."""


def drawn(workflow: Workflow | type[Workflow], path: Path, limit: int | None = None) -> str:
    """The file that a drawing writes."""
    draw_all_possible_flows(workflow, path / "flows.html", max_label_length=limit)
    return (path / "flows.html").read_text(encoding="utf-8")


def svg(page: str) -> ElementTree.Element:
    """The picture of a page, which must be well-formed XML too."""
    found = re.search(r"<svg .*</svg>", page, re.DOTALL)
    assert found
    return ElementTree.fromstring(found[0])


def labels(page: str) -> list[str]:
    """What is written in the nodes of a page's picture."""
    return [text.text or "" for text in svg(page).findall("./g/text") if not text.get("class")]


def nodes(page: str, kind: str) -> list[str]:
    """What is written in the nodes of one kind."""
    return [
        group.findtext("text") or ""
        for group in svg(page).findall("g")
        if group.get("class") == f"node {kind}"
    ]


def an_agent() -> FunctionAgent:
    """An agent that is never run."""
    return FunctionAgent(name="one", description="the only one", llm=MockLLM())


def a_team() -> AgentWorkflow:
    """A workflow of agents that is never run."""
    return AgentWorkflow(agents=[an_agent()])


# U31: core's constructor of agents reads every attribute, the deprecated ones of pydantic too.
@pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecationWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: Review,
        Review,
        lambda: NoSteps,
        Summary,
        an_agent,
        lambda: FunctionAgent,
        a_team,
        lambda: AgentWorkflow,
    ],
)
def test_every_node_and_edge_is_in_the_picture(
    make: Callable[[], Workflow | type[Workflow]], tmp_path: Path
) -> None:
    """All that the representation has is drawn, for classes, instances and agents."""
    workflow = make()
    graph = get_workflow_representation(workflow)
    draw_all_possible_flows(workflow, tmp_path / "a.html", include_child_workflows=False)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    edges = [
        path.findtext("title") for path in svg(page).findall("path") if path.get("d", "")[0] == "M"
    ]
    assert sorted(labels(page)) == sorted(node.label for node in graph.nodes)
    names = {node.id: node.label for node in graph.nodes}
    ends = [f"{names[edge.source]} → {names[edge.target]}" for edge in graph.edges]
    assert sorted(map(str, edges)) == sorted(ends)


@pytest.mark.parametrize("workflow", [Review, FunctionAgent])
def test_the_file_loads_nothing(workflow: type[Workflow], tmp_path: Path) -> None:
    """No address, no script, no import: the picture shows with the network off."""
    page = drawn(workflow, tmp_path)
    assert not re.search(r"https?://|<script|<link|@import|\ssrc=|\shref=", page)
    assert set(re.findall(r"url\((.)", page)) == {"#"}


def test_one_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default one file of upstream's name is written, and nothing beside it."""
    monkeypatch.chdir(tmp_path)
    assert draw_all_possible_flows(Review) is None
    assert [path.name for path in tmp_path.iterdir()] == ["workflow_all_flows.html"]


def test_names_cannot_inject_html(tmp_path: Path) -> None:
    """Markup in names and docstrings is shown as it is written."""
    evil = '<img src=x onerror="alert(1)">&'
    page = drawn(type(evil, (Summary,), {}), tmp_path)
    assert evil not in page
    assert f"<h1>{escape(evil)}</h1>" in page


def test_the_title_is_the_name_of_the_workflow(tmp_path: Path) -> None:
    """The page is named after the workflow and says how much is in it."""
    page = drawn(Summary, tmp_path)
    assert "<h1>Summary</h1><p>All possible flows: 1 step, 2 events.</p>" in page


def test_long_labels_are_cut_and_kept_in_the_tooltip(tmp_path: Path) -> None:
    """A name over the limit is cut to it; hovering shows the whole."""
    page = drawn(Summary, tmp_path, limit=6)
    titles = [title.text for title in svg(page).findall("g/title")]
    assert "summa…" in labels(page)
    assert "step: summarise\nSum up." in titles


@pytest.mark.parametrize("limit", [None, 0, 100])
def test_labels_within_the_limit_stay_whole(limit: int | None, tmp_path: Path) -> None:
    """No limit, nought, and a limit that is long enough cut nothing."""
    assert "summarise" in labels(drawn(Summary, tmp_path, limit))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("start", ["StartEvent", "StartEvent"]),
        ("stop", ["StopEvent", "StopEvent"]),
        ("external", ["external_step"]),
        ("resource", ["Store"]),
    ],
)
def test_kinds_look_different(kind: str, names: list[str], tmp_path: Path) -> None:
    """What starts, what ends, what is outside and what is used have each their own style."""
    page = drawn(Review, tmp_path)
    assert nodes(page, kind) == names
    assert f'class="key {kind}"' in page


def test_a_loop_is_marked(tmp_path: Path) -> None:
    """The edge that leads back to an earlier step has its own colour and legend."""
    page = drawn(Review, tmp_path)
    back = [p.findtext("title") for p in svg(page).findall("path") if p.get("class") == "edge back"]
    assert back == ["Rejected → write"]
    assert "closes a loop" in page


def test_two_uses_of_a_resource_are_two_edges(tmp_path: Path) -> None:
    """A resource that a step takes under two names shows both names."""
    written = [text.text for text in svg(drawn(Review, tmp_path)).findall("text")]
    assert {"old", "new"} <= set(written)


def test_tooltips_tell_what_a_node_is(tmp_path: Path) -> None:
    """Tooltips have a step's docstring, an event's fields and a resource's factory."""
    page = unescape(drawn(Review, tmp_path))
    assert "step: write\nWrite a draft." in page
    assert "event: Draft\nfields: text" in page
    assert "resource: Store\nfrom: open_store()\nOpen the store." in page


def test_tooltips_have_no_paths(tmp_path: Path) -> None:
    """Where the code lies on this machine is not in the file."""
    assert str(Path(__file__).parent) not in drawn(Review, tmp_path)


def test_child_workflows_are_drawn(tmp_path: Path) -> None:
    """A workflow that a step names is part of the picture, and linked to that step."""
    page = drawn(Review, tmp_path)
    written = [text.text for text in svg(page).findall("text")]
    assert "summarise" in nodes(page, "step")
    assert {"calls", "returns"} <= set(written)


def test_child_workflows_can_be_left_out(tmp_path: Path) -> None:
    """Without children only the workflow's own steps are drawn."""
    draw_all_possible_flows(Review, tmp_path / "a.html", include_child_workflows=False)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert nodes(page, "step") == ["ask", "judge", "write"]


def test_a_child_named_twice_is_drawn_once(tmp_path: Path) -> None:
    """Two steps that call the same workflow share its picture; a closure is seen as well."""

    class Inner(Workflow):
        @step
        async def work(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

    class Outer(Workflow):
        @step
        async def first(self, ev: StartEvent) -> Draft:
            await Inner().run()
            return Draft()

        @step
        async def second(self, ev: Draft) -> StopEvent:
            await Inner().run()
            return StopEvent()

    page = drawn(Outer, tmp_path)
    assert nodes(page, "step") == ["first", "second", "work"]
    assert [text.text for text in svg(page).findall("text")].count("calls") == 2


def test_children_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Two workflow classes that share a name are both drawn."""
    one, other = (type("Same", (Summary,), {}) for _ in range(2))

    class Outer(Workflow):
        @step
        async def both(self, ev: StartEvent) -> StopEvent:
            await one().run()
            await other().run()
            return StopEvent()

    assert nodes(drawn(Outer, tmp_path), "step") == ["both", "summarise", "summarise"]


def test_a_step_that_names_its_own_workflow_has_no_child(tmp_path: Path) -> None:
    """`super()` and a call of the workflow itself do not draw it twice."""

    class Base(Workflow):
        @step
        async def work(self, ev: StartEvent) -> StopEvent:
            super().__init__()
            return StopEvent()

    class Again(Base):
        @step
        async def more(self, ev: StartEvent) -> StopEvent:
            await Again().run()
            return StopEvent()

    assert nodes(drawn(Again, tmp_path), "step") == ["more", "work"]


def test_a_name_without_a_value_yet_is_no_child(tmp_path: Path) -> None:
    """A step may refer to a variable of an outer function that is set only later."""

    class Early(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            await later().run()
            return StopEvent()

    page = drawn(Early, tmp_path)
    later = Summary
    assert nodes(page, "step") == ["only"]


def test_sixty_steps_have_a_place_each(tmp_path: Path) -> None:
    """A workflow of sixty steps, free functions at that, is drawn whole."""

    class Sixty(Workflow):
        pass

    def add(number: int) -> None:
        async def free(ev: StartEvent) -> StopEvent:
            return StopEvent()

        free.__name__ = f"step_{number}"
        step(workflow=Sixty)(free)

    for number in range(60):
        add(number)
    assert len(set(nodes(drawn(Sixty, tmp_path), "step"))) == 60


def test_a_notebook_gets_something_to_show(tmp_path: Path) -> None:
    """With `notebook=True` the file is written and returned as a frame that Jupyter shows."""
    drawing = draw_all_possible_flows(Review, tmp_path / "flows.html", notebook=True)
    assert drawing is not None
    assert drawing.path.read_text(encoding="utf-8") == drawing.html
    frame = drawing._repr_html_()  # pyright: ignore[reportPrivateUsage] # Jupyter's protocol
    assert escape(drawing.html) in frame


@pytest.mark.parametrize("wrong", [None, "Review", 3, dict, object()])
def test_what_is_not_a_workflow_is_refused(wrong: object, tmp_path: Path) -> None:
    """The error says what to pass, and nothing is written."""
    with pytest.raises(TypeError, match="needs a Workflow, an agent, or the class of one"):
        draw_all_possible_flows(wrong, tmp_path / "a.html")  # pyright: ignore[reportArgumentType]
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_leaves_the_older_file(tmp_path: Path) -> None:
    """A name that has no UTF-8 form fails before the file is touched."""
    older = drawn(Summary, tmp_path)
    with pytest.raises(UnicodeEncodeError):
        drawn(type("\ud800", (Summary,), {}), tmp_path)
    assert (tmp_path / "flows.html").read_text(encoding="utf-8") == older


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Folders are not made."""
    with pytest.raises(FileNotFoundError, match="missing"):
        draw_all_possible_flows(Summary, tmp_path / "missing" / "a.html")
