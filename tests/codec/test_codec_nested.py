"""What a record keeps of events, errors and core's models inside of others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from llama_index.core.base.llms import types as llms
from llama_index.core.chat_ui.events import ArtifactEvent, SourceNodesEvent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.schema import (
    Document,
    ImageDocument,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.tools import ToolOutput
from workflows.events import (
    UnreconstructedException,
)

from llama_index_streaming_ext.codec import decode, encode
from llama_index_streaming_ext.events import (
    AgentInput,
    AgentOutput,
    AgentWorkflowStartEvent,
    CollectionReleaseEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    WorkflowFailedEvent,
)
from tests.support.codec_samples import (
    Answer,
    result_of,
    there_and_back,
    token,
)

MEMORY = cast("BaseMemory", ChatMemoryBuffer.from_defaults())  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize(
    "result", [0, "", False, [], {}, None, 1.5, "a", [None], {"a": {"b": [1]}}]
)
def test_a_result_is_kept(result: object) -> None:
    """A falsy result is a result."""
    back = result_of(result)
    assert back == result
    assert type(back) is type(result)


def test_a_custom_stop_event_keeps_its_result() -> None:
    """A registered subclass has a result like StopEvent itself."""
    assert there_and_back(Answer(points=1, result=0)).result == 0


def test_an_event_in_a_result_comes_back_as_its_class() -> None:
    """An agent's result is an AgentOutput, also in lists and dicts."""
    output = AgentOutput(response=ChatMessage("hi"), current_agent_name="me")
    assert result_of({"all": [output]}) == {"all": [output]}


def test_a_token_in_a_result_keeps_its_response() -> None:
    """No record before it has the deltas that would rebuild it."""
    assert result_of(token(raw=None)) == token(raw=None)


def test_a_failed_step_comes_back() -> None:
    """The event that a step failed on is its class, dynamic attributes and all."""
    start = StartEvent()
    start.topic = "x"
    event = StepFailedEvent(
        step_name="s",
        input_event=CollectionReleaseEvent(events=[start]),
        exception=KeyError("k"),
        attempts=2,
        elapsed_seconds=1.0,
        failed_at=datetime(2024, 1, 2, tzinfo=UTC),
    )
    back = there_and_back(event)
    assert back.input_event.events[0].topic == "x"
    assert repr(back.exception) == "KeyError('k')"
    assert back.failed_at == event.failed_at


BUILTINS = [
    ValueError("no"),
    KeyError("k"),
    KeyError(3),
    OSError("x"),
    Exception(""),
    UserWarning("w"),
]


@pytest.mark.parametrize("error", BUILTINS, ids=repr)
def test_a_builtin_exception_comes_back_as_itself(error: Exception) -> None:
    """Class and message are the same."""
    assert repr(result_of(error)) == repr(error)


class Teapot(Exception):
    """An exception of a user's."""


def unicode_error() -> Exception:
    """Give a builtin exception that is not made from a message."""
    return UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (Teapot("short and stout"), f"{__name__}.Teapot"),
        (unicode_error(), "builtins.UnicodeDecodeError"),
        (SystemExit("3"), "builtins.SystemExit"),
        (KeyError("two\nlines"), "builtins.KeyError"),
        (UnreconstructedException("gone", original_type="a.B"), "a.B"),
        (UnreconstructedException("gone"), "workflows.events.UnreconstructedException"),
    ],
    ids=repr,
)
def test_any_other_exception_keeps_its_name_and_message(error: BaseException, name: str) -> None:
    """It comes back as upstream's stand-in, and a second trip changes nothing."""
    back = result_of(error)
    assert type(back) is UnreconstructedException
    assert (back.original_type, str(back)) == (name, str(error))
    assert encode(StopEvent(result=back)) == encode(StopEvent(result=error))


class Mute(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_an_exception_that_has_no_message_is_still_one() -> None:
    """A `__str__` that fails does not hurt."""
    assert result_of(Mute()).original_type == f"{__name__}.Mute"


def failed(**fields: Any) -> WorkflowFailedEvent:
    """Give the event of a run that failed."""
    return WorkflowFailedEvent(step_name="s", exception=Teapot("no"), **fields)


def test_a_failure_names_its_exception() -> None:
    """The attributes that every reader may ask for are there, also where nobody had set them."""
    back = there_and_back(failed())
    named = (back.exception_type, back.exception_message, back.traceback)
    assert named == (f"{__name__}.Teapot", "no", "")


def test_a_failure_keeps_the_names_that_it_came_with() -> None:
    """What the writer said of the exception is not replaced."""
    said = {"exception_type": "a.B", "exception_message": "m", "traceback": "File ..."}
    assert dict(there_and_back(failed(**said)).items()) == said


PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
BLOCKS = [
    llms.TextBlock(text="t"),
    llms.ImageBlock(image=PNG, detail="low"),
    llms.ImageBlock(url="https://example.org/a.png"),
    llms.ImageBlock(path=Path(__file__)),
    llms.AudioBlock(audio=b"abc", format="wav"),
    llms.VideoBlock(video=b"abc", fps=3),
    llms.DocumentBlock(data=b"%PDF-1.7", title="d"),
    llms.CachePoint(cache_control=llms.CacheControl(type="ephemeral")),
    llms.CitableBlock(title="t", source="s", content=[llms.TextBlock(text="c")]),
    llms.CitationBlock(
        cited_content=llms.TextBlock(text="c"),
        source="s",
        title="t",
        additional_location_info={"page": 1},
    ),
    llms.ThinkingBlock(content="hm", additional_information={"sig": b"\xff"}),
    llms.ToolCallBlock(tool_name="t", tool_kwargs={"a": 1}),
    llms.ToolCallBlock(tool_name="t", tool_kwargs='{"a": 1'),
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: type(b).__name__)
def test_a_message_comes_back_with_each_kind_of_block(block: Any) -> None:
    """Blocks are equal, whatever pydantic's serialisers make of them (U30)."""
    message = ChatMessage(role="assistant", blocks=[block], additional_kwargs={"k": {"b": b"x"}})
    event = AgentInput(input=[message], current_agent_name="me")
    assert there_and_back(event) == event


def test_every_kind_of_block_is_tested() -> None:
    """A kind of block that core adds has to be added to the codec."""
    known = get_args(get_args(llms.ContentBlock)[0])
    assert {type(block) for block in BLOCKS} == set(known)


def test_a_file_that_is_gone_does_not_lose_the_message(tmp_path: Path) -> None:
    """A block names a file that was there when it was written."""
    image = tmp_path / "a.png"
    image.write_bytes(PNG)
    event = AgentInput(
        input=[ChatMessage(blocks=[llms.ImageBlock(path=image)])], current_agent_name="me"
    )
    record = encode(event)
    image.unlink()
    assert decode(*record) == event


def test_images_of_the_old_form_are_not_appended_again() -> None:
    """Core's ChatMessage makes blocks of `additional_kwargs["images"]` each time it is made."""
    message = ChatMessage("look", additional_kwargs={"images": [ImageDocument(image=PNG)]})
    event = AgentInput(input=[message], current_agent_name="me")
    assert there_and_back(event).input[0].blocks == event.input[0].blocks


def test_core_models_come_back_from_untyped_places() -> None:
    """A result may be any of core's data models."""
    node = TextNode(text="t", metadata={"page": 1}, embedding=[0.5])
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="n", node_type="4")
    scored = NodeWithScore(node=node, score=0.5)
    output = ToolOutput(tool_name="t", content="c", raw_input={}, raw_output=scored)
    values = [scored, Document(text="d"), ChatMessage("m"), output]
    assert result_of(values) == values


def test_sources_come_back() -> None:
    """The nodes of a SourceNodesEvent are nodes."""
    event = SourceNodesEvent(nodes=[NodeWithScore(node=Document(text="d"))])
    assert there_and_back(event) == event


def test_an_artifact_comes_back() -> None:
    """A model that only an annotation knows is rebuilt from it."""
    data = {"file_name": "a.py", "code": "1", "language": "py"}
    event = ArtifactEvent.model_validate({"data": {"type": "code", "data": data}})
    assert there_and_back(event) == event


def test_a_tool_output_keeps_its_exception() -> None:
    """A tool that failed says why."""
    output = ToolOutput(tool_name="t", raw_input={}, exception=ValueError("no"))
    assert repr(result_of(output).exception) == "ValueError('no')"


class OwnMessage(ChatMessage):
    """A message of an integration's."""


def test_a_subclass_of_a_core_model_is_written_as_what_it_is() -> None:
    """An integration's own message is a message."""
    assert result_of(OwnMessage.from_str("hi")) == ChatMessage("hi")


def test_a_start_event_keeps_its_history_and_not_its_memory() -> None:
    """A memory is a live object; upstream does not write it either."""
    event = AgentWorkflowStartEvent(user_msg="hi", chat_history=[ChatMessage("old")], memory=MEMORY)
    back = there_and_back(event)
    assert back.chat_history == [ChatMessage("old")]
    assert back.memory.text == "<a live object>"
