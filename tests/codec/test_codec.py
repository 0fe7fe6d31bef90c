"""What a record keeps of an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.chat_ui.models.artifact import Artifact
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.schema import (
    NodeWithScore,
    TextNode,
)
from llama_index.core.tools import ToolOutput
from workflows.events import (
    StepState,
)

from llama_index_streaming_ext.codec import decode, encode, register_event, registered_events
from llama_index_streaming_ext.errors import UndecodableRecord, UnregisteredEvent
from llama_index_streaming_ext.events import (
    AgentStream,
    CollectionReleaseEvent,
    Event,
    StartEvent,
    StopEvent,
    ToolCall,
    UnknownEvent,
)
from llama_index_streaming_ext.events.usage import Usage
from tests.support.codec_samples import (
    CORE_EVENTS,
    Answer,
    Circle,
    Colour,
    Holder,
    Moody,
    Opaque,
    OwnStream,
    Point,
    Shape,
    Stranger,
    there_and_back,
    token,
)
from tests.support.paths import DATA

GOLDEN = DATA / "codec_kinds.json"


# --- kinds


def test_kinds_are_frozen() -> None:
    """Kinds are in stored records: one that is changed or removed breaks them, so add only."""
    ours = ("workflows.", "llama_index.", "llama_index_streaming_ext.")
    kinds = {
        kind: f"{cls.__module__}.{cls.__qualname__}"
        for kind, cls in registered_events().items()
        if cls.__module__.startswith(ours)
    }
    assert kinds == json.loads(GOLDEN.read_text())


def test_every_public_event_of_core_is_registered() -> None:
    """Each Event subclass that workflows and core define has a kind."""

    def below(cls: type[Event]) -> set[type[Event]]:
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    upstream = {c for c in below(Event) if c.__module__.startswith(("workflows.", "llama_index."))}
    assert upstream == upstream & set(registered_events().values())


def test_registering_the_same_pair_twice_changes_nothing() -> None:
    """A module may be imported again."""
    assert register_event(Moody, "test.moody") is Moody


def test_a_kind_belongs_to_one_class() -> None:
    """A kind that is taken is refused, and the message says by whom."""
    with pytest.raises(ValueError, match=r"taken by .*Moody"):
        register_event(Stranger, "test.moody")


def test_a_class_has_one_kind() -> None:
    """A second kind for a class is refused, and the message says which it has."""
    with pytest.raises(ValueError, match=r"already has the kind 'test\.moody'"):
        register_event(Moody, "test.other")


@pytest.mark.parametrize("kind", ["", "?test.moody"])
def test_a_kind_is_a_name(kind: str) -> None:
    """Neither nothing nor the mark of unregistered events is a kind."""
    with pytest.raises(ValueError, match="is not a kind"):
        register_event(Stranger, kind)


def test_a_notebook_cell_can_be_run_again() -> None:
    """A new class with the qualified name of the old takes its kind; old instances still encode."""

    def cell() -> type[Event]:
        class Fresh(Event):
            pass

        return register_event(Fresh, "test.fresh")

    first, second = cell(), cell()
    assert first is not second
    assert type(there_and_back(first())) is second


# --- whole events


@cache
def values_for(annotation: Any) -> st.SearchStrategy[Any]:
    """Give simple values for an annotation of a field of core's events."""
    texts = st.text(st.characters(), max_size=5)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: texts,
        int: st.integers(),
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
        type(None): st.none(),
        Any: st.integers() | texts,
        dict: st.dictionaries(texts, st.integers() | texts, max_size=3),
        datetime: st.datetimes(timezones=st.just(UTC)),
        Exception: st.just(ValueError("no")),
        Event: st.builds(ToolCall, tool_name=texts, tool_kwargs=st.just({"a": 1}), tool_id=texts),
        StepState: st.sampled_from(StepState),
        ChatMessage: st.builds(ChatMessage, texts),
        ToolSelection: st.builds(
            ToolSelection, tool_id=texts, tool_name=texts, tool_kwargs=st.just({"a": 1})
        ),
        Usage: st.builds(Usage, st.integers(), st.integers(), st.integers(), st.booleans()),
        ToolOutput: st.builds(ToolOutput, tool_name=texts, content=texts, raw_input=st.just({})),
        NodeWithScore: st.builds(NodeWithScore, node=st.builds(TextNode, text=texts)),
        Artifact: st.just(
            Artifact.model_validate(
                {"type": "code", "data": {"file_name": "a", "code": "b", "language": "c"}}
            )
        ),
    }
    if annotation in simple:
        return simple[annotation]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values_for(args[0])
    if origin in (Union, UnionType):
        return st.one_of(*map(values_for, args))
    if origin is list:
        return st.lists(values_for(args[0]), max_size=3)
    return simple[origin]


def plain(event: Event) -> Any:
    """Give what can be compared: two exceptions are never equal."""
    fields = event.__dict__ | {"exception": repr(event.__dict__.get("exception"))}
    dropped = {"raw"} | ({"response"} if type(event) is AgentStream else set[str]())
    dynamic = {k: v for k, v in event.items() if not k.startswith(("exception_", "traceback"))}
    return type(event), {k: v for k, v in fields.items() if k not in dropped}, dynamic


@pytest.mark.parametrize("cls", CORE_EVENTS, ids=lambda c: c.__name__)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_every_class_comes_back(cls: type[Event], data: st.DataObject) -> None:
    """An event of each registered class comes back with its fields and dynamic attributes."""
    fields = {n: data.draw(values_for(f.annotation)) for n, f in cls.model_fields.items()}
    event = cls(**fields, foo=data.draw(st.integers()))
    back = there_and_back(event)
    assert plain(back) == plain(event)
    assert encode(event) == encode(event)


def test_a_dynamic_attribute_survives() -> None:
    """`event.foo = 1` on a token comes back as an attribute."""
    event = AgentStream(delta="a", response="a", current_agent_name="me")
    event.foo = {"$event": 1}
    assert there_and_back(event).foo == {"$event": 1}


def test_typed_fields_of_users_events_come_back_typed() -> None:
    """Enums, dataclasses and models are what the annotation says, not dicts."""
    event = Moody.model_construct(
        at=datetime(2024, 1, 2, tzinfo=UTC),
        price=Decimal("1.10"),
        point=Point(1, 2),
        shape=Shape(label="s"),
        tags={"b", "a"},
    )
    back = there_and_back(event)
    assert (back.colour, back.at, back.price) == (Colour.RED, event.at, event.price)
    assert (back.point, back.shape, back.tags) == (event.point, event.shape, event.tags)


def test_private_attributes_come_back_with_their_defaults() -> None:
    """A private attribute of a user's class is no data."""
    event = Moody.model_construct()
    event._private.append(2)  # pyright: ignore[reportPrivateUsage]
    assert there_and_back(event)._private == [1]


def test_neither_init_nor_validators_run_again() -> None:
    """A class whose `__init__` takes other arguments than its fields comes back."""
    assert there_and_back(Answer(points=5, result={})).score == 0.5


def test_a_model_that_does_not_fit_its_annotation_comes_back_as_a_dict() -> None:
    """A value that was written in good order is given as it is, rather than refused."""
    event = Moody.model_construct(strict=cast("Any", Circle(label="c", radius=2)))
    assert there_and_back(event).strict == {"name": "c", "radius": 2}


def test_what_pydantic_cannot_validate_comes_back_as_it_was_written() -> None:
    """A dataclass with a field of any class is read as a dict."""
    back = there_and_back(Moody.model_construct(holder=Holder(Opaque())))
    assert back.holder["held"].type_name == "tests.support.codec_samples.Opaque"


def test_an_excluded_field_comes_back_empty() -> None:
    """A field that is marked `exclude=True` is not written, and its absence is no error."""
    assert there_and_back(Moody.model_construct(kept_out=1)).kept_out is None


def test_an_event_that_refuses_its_fields_is_undecodable() -> None:
    """`model_post_init` is the user's code: what it raises does not reach the reader."""
    with pytest.raises(UndecodableRecord, match="Moody cannot be made of its fields"):
        decode("test.moody", b'{"price":{"$decimal":"-1"}}')


def test_a_field_that_this_version_does_not_know_is_readable() -> None:
    """A record of a newer version keeps its new field, as a dynamic attribute."""
    event: Any = decode("tool.call", b'{"tool_name":"t","tool_kwargs":{},"tool_id":"1","new":[1]}')
    assert event.new == [1]


def test_a_default_stands_in_for_a_field_that_an_older_version_did_not_write() -> None:
    """Defaults come from the class."""
    event: Any = decode("workflow.collection_release", b"{}")
    assert event.events == []


# --- tokens


def test_a_token_is_its_delta() -> None:
    """Neither `response` nor `raw` is in the bytes."""
    assert encode(token()) == ("agent.stream", b'{"d":"lo","a":"me"}')


def test_a_token_comes_back_without_its_response() -> None:
    """The reader of a log rebuilds `response`; here it is empty."""
    back = there_and_back(token())
    assert type(back) is AgentStream
    assert back == token(response="", raw=None)


def test_a_token_can_keep_its_response() -> None:
    """`keep_response` keeps it as it came; `raw` is left out still."""
    back = decode(*encode(token(response="as it came"), keep_response=True))
    assert back == token(response="as it came", raw=None)


def test_a_token_with_everything_comes_back() -> None:
    """Tool calls, thinking and dynamic attributes take the long way."""
    call = ToolSelection(tool_id="1", tool_name="t", tool_kwargs={"a": [1]})
    event = token(tool_calls=[call], thinking_delta="hm", raw=None, response="", foo=1)
    assert there_and_back(event) == event


def test_an_empty_token_is_an_empty_object() -> None:
    """Empty fields are left out."""
    assert encode(token(delta="", response="", current_agent_name=""))[1] == b"{}"


def test_a_decoded_token_is_an_ordinary_event() -> None:
    """What comes back can be changed, copied and dumped like any other, and shares nothing."""
    first, second = there_and_back(token()), there_and_back(token())
    first.foo = 1
    first.tool_calls.append(1)
    assert "foo" not in second
    assert second.tool_calls == []
    assert second.model_copy().model_dump()["delta"] == "lo"


@pytest.mark.parametrize(
    "data", [b'{"d":1,"a":"me"}', b'{"d":"x","a":null}', b"[]", b"[1]", b'"d"', b"1", b"nope"]
)
def test_a_token_that_is_none_is_refused(data: bytes) -> None:
    """The quick way judges no less than the long one."""
    with pytest.raises(UndecodableRecord):
        decode("agent.stream", data)


def test_half_of_a_surrogate_pair_survives_in_a_token() -> None:
    """A provider may cut an emoji in two; the record is UTF-8 nonetheless."""
    record = encode(token(delta="\ud83d"))
    assert record[1] == b'{"d":"\\ud83d","a":"me"}'
    assert decode(*record).delta == "\ud83d"


@given(st.text(st.characters(), max_size=8), st.text(st.characters(), max_size=8))
def test_the_quick_way_writes_what_the_long_way_writes(delta: str, agent: str) -> None:
    """Whether a token is plain does not show in its bytes."""
    event = token(delta=delta, current_agent_name=agent, response="")
    assert encode(event) == encode(event, keep_response=True)


# --- events that nobody registered


@pytest.mark.parametrize("event", [Stranger(text="x"), OwnStream(**token().__dict__)])
def test_an_unregistered_event_is_not_lost(event: Event) -> None:
    """It goes out under its qualified name, and comes back as an UnknownEvent."""
    kind, data = encode(event)
    assert kind == f"?{type(event).__module__}.{type(event).__qualname__}"
    assert decode(kind, data) == UnknownEvent(kind=kind, data=data)


def test_an_unregistered_event_has_its_payload() -> None:
    """The payload is the fields by name."""
    assert encode(Stranger(text="x"))[1] == b'{"text":"x"}'


def test_strict_refuses_an_unregistered_event() -> None:
    """The error says how to register it."""
    with pytest.raises(UnregisteredEvent, match="register_event"):
        encode(Stranger(text="x"), strict=True)


@given(st.text(), st.binary())
def test_an_unknown_event_is_passed_on_untouched(kind: str, data: bytes) -> None:
    """Encoding an UnknownEvent gives its kind and bytes."""
    assert encode(UnknownEvent(kind=kind, data=data)) == (kind, data)


def test_an_unregistered_event_in_a_field_comes_back_unknown() -> None:
    """Its own bytes are kept, and encoding again gives the same record."""
    inner = Stranger(text="\ud800 é")
    inner.n = 1.5
    record = encode(StopEvent(result=[inner]))
    back: Any = decode(*record)
    assert back.result == [UnknownEvent(kind=encode(inner)[0], data=encode(inner)[1])]
    assert encode(back) == record


def test_an_unknown_event_may_stand_where_a_field_asks_for_another() -> None:
    """A batch with an unregistered event in it is read all the same."""
    event = CollectionReleaseEvent(events=[Stranger(text="x"), StartEvent()])
    assert [type(e) for e in there_and_back(event).events] == [UnknownEvent, StartEvent]
