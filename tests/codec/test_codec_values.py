"""What a record keeps of the values in an event."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from llama_index.core.llms import MockLLM
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.tools import ToolOutput
from pydantic import HttpUrl, RootModel, SecretStr

from llama_index_streaming_ext.codec import Unserialisable, encode, unserialisable
from llama_index_streaming_ext.events import (
    LLMCallFinished,
    StopEvent,
    ToolCall,
    ToolCallResult,
    ToolOutputDelta,
)
from llama_index_streaming_ext.events.usage import Usage
from tests.support.codec_samples import (
    Circle,
    Colour,
    Point,
    json_like,
    result_of,
    there_and_back,
)

MEMORY = cast("BaseMemory", ChatMemoryBuffer.from_defaults())  # pyright: ignore[reportUnknownMemberType]


@given(json_like)
def test_json_comes_back_unchanged(value: Any) -> None:
    """Also where it looks like a tag of ours, or has half of a surrogate pair."""
    event = StopEvent(result=value, dynamic=value)
    back = there_and_back(event)
    assert back.result == value
    assert back.dynamic == value
    assert unserialisable(back) == {}


@given(json_like)
def test_bytes_are_compact_utf8_json(value: Any) -> None:
    """Any JSON reader can read a record."""
    _, data = encode(StopEvent(result=value))
    assert json.loads(data.decode()) is not None


EXACT: list[Any] = [
    datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    datetime(2024, 1, 2),
    date(2024, 1, 2),
    time(1, 2, 3),
    timedelta(days=-1, seconds=3, microseconds=5),
    Decimal("1.10"),
    UUID(int=7),
    Path("/a/b"),
    b"text",
    b"\xff\x00",
    (1, (2, "x")),
    {3, 1, 2},
    frozenset({("a", 1)}),
    {1: "a", (2, 3): "b", None: "c"},
    float("inf"),
    10**5000,
    -(10**5000),
]


@pytest.mark.parametrize("value", EXACT, ids=lambda v: type(v).__name__)
def test_values_of_the_standard_library_come_back_as_themselves(value: Any) -> None:
    """JSON has no such type, yet nothing is lost, whatever the annotation says."""
    back = result_of([value, {"in": value}])
    assert back == [value, {"in": value}]
    assert type(back[0]) is type(value)


def test_nan_comes_back() -> None:
    """NaN is not JSON, so it goes as text."""
    assert str(result_of(float("nan"))) == "nan"


class Number:
    """What numpy's scalars and arrays look like."""

    dtype = "int64"

    def __init__(self, plain: Any) -> None:
        self.plain = plain

    def tolist(self) -> Any:
        """Give the value in Python's own types."""
        return self.plain


class Names(RootModel[list[str]]):
    """A model that is a list."""


PLAIN: list[tuple[Any, Any]] = [
    (Colour.RED, "red"),
    (Point(1, 2), {"x": 1, "y": 2}),
    (Circle(label="c", radius=2), {"name": "c", "radius": 2}),
    (Names(["a"]), ["a"]),
    (Number(3), 3),
    (Number([[1.5]]), [[1.5]]),
    (HttpUrl("https://a.org/"), "https://a.org/"),
    (bytearray(b"a"), b"a"),
    ({Colour.RED: 1}, {"red": 1}),
]


@pytest.mark.parametrize(("value", "form"), PLAIN, ids=lambda v: type(v).__name__)
def test_values_with_a_natural_form_come_back_in_it(value: Any, form: Any) -> None:
    """Where no annotation says what it was, the plain form is given."""
    back = result_of(value)
    assert str(back) == form if isinstance(value, HttpUrl) else back == form


class Angry:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Impostor(Number):
    """Looks like an array and is none."""

    def tolist(self) -> Any:
        """Fail, as a tensor on a GPU may."""
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [object(), threading.Lock(), lambda: 1, Angry(), int, Impostor(1), Number(object()), iter([1])],
    ids=lambda v: type(v).__name__,
)
def test_a_value_without_a_form_is_replaced_by_one_that_says_so(value: Any) -> None:
    """U36: the writer does not fail, and the reader sees what is missing and where."""
    output = ToolOutput(tool_name="t", content="c", raw_input={}, raw_output=[1, value])
    event = ToolCallResult(
        tool_name="t", tool_kwargs={}, tool_id="1", tool_output=output, return_direct=False
    )
    back = there_and_back(event)
    lost = back.tool_output.raw_output[1]
    assert lost.type_name == f"{type(value).__module__}.{type(value).__qualname__}"
    assert unserialisable(back) == {"tool_output.raw_output.1": lost}
    assert encode(back) == encode(event)


def test_a_repr_is_cut() -> None:
    """The stand-in for a large object is small."""

    class Large:
        def __repr__(self) -> str:
            return "x" * 1000

    assert result_of(Large()).text == "x" * 200


def test_a_repr_that_fails_does_not_hurt() -> None:
    """The stand-in says so."""
    assert result_of(Angry()).text == "<its repr failed>"


@pytest.mark.parametrize("value", [MockLLM(), MEMORY, SecretStr("key")])
def test_keys_do_not_reach_a_record(value: Any) -> None:
    """An LLM may hold an API key in its fields: neither they nor its repr are written."""
    assert result_of({"it": value})["it"].text in ("<a live object>", "SecretStr('**********')")


def test_a_circle_is_cut_where_it_closes() -> None:
    """What can be written of a circular value is."""
    circle: dict[str, Any] = {"a": 1}
    circle["self"] = circle
    assert result_of(circle) == {
        "a": 1,
        "self": Unserialisable("builtins.dict", "<circular reference>"),
    }


def test_an_event_that_holds_itself_is_cut() -> None:
    """Dynamic attributes make this possible."""
    event = StopEvent(result=1)
    event.me = event
    assert there_and_back(event).me.text == "<circular reference>"


def test_the_same_value_twice_is_no_circle() -> None:
    """Only what holds itself is circular."""
    shared = [1]
    assert result_of([shared, shared, 5, 5]) == [[1], [1], 5, 5]


def in_list(value: Any) -> Any:
    """Nest in a list."""
    return [value]


def in_dict(value: Any) -> Any:
    """Nest in a dict that has to be escaped."""
    return {"$a": value}


def in_event(value: Any) -> Any:
    """Nest in an event."""
    return StopEvent(result=value)


@pytest.mark.parametrize("wrap", [in_list, in_dict, in_event])
def test_depth_has_an_end(wrap: Callable[[Any], Any]) -> None:
    """What is nested too deeply is replaced, and what is left can be read."""
    value: Any = 1
    for _ in range(300):
        value = wrap(value)
    (lost,) = unserialisable(there_and_back(StopEvent(result=value))).values()
    assert lost.text == "<nested deeper than 64 levels>"


@pytest.mark.parametrize(
    "key", [object(), Point, frozenset({Colour}), (1, Angry())], ids=lambda k: type(k).__name__
)
def test_keys_without_a_form_are_replaced_too(key: Any) -> None:
    """A dict can still be read when a key is lost."""
    back = there_and_back(StopEvent(result={key: 1}))
    assert list(back.result.values()) == [1]


def test_an_unhashable_form_of_a_key_is_replaced() -> None:
    """A frozen dataclass is a key, the dict that it would come back as is none."""

    @dataclass(frozen=True)
    class Key:
        x: int

    (lost,) = result_of({Key(1)})
    assert "Key(x=1)" in lost.text


def test_a_lost_key_is_told() -> None:
    """`unserialisable` looks at keys and into sets as well."""
    back = there_and_back(StopEvent(result={(object(),): 1, "s": {object()}}))
    assert len(unserialisable(back)) == 2


def test_a_lost_value_in_a_typed_field_is_no_error() -> None:
    """A stand-in is given even where the annotation asks for something else."""
    event = ToolCall.model_construct(tool_name=cast("Any", object()), tool_kwargs={}, tool_id="1")
    assert list(unserialisable(there_and_back(event))) == ["tool_name"]


def test_a_set_has_one_order() -> None:
    """The order of a set of strings differs from process to process; its bytes do not."""
    assert encode(StopEvent(result={"b", "a", "c"}))[1] == b'{"_result":{"$set":["a","b","c"]}}'


def test_a_usage_comes_back_as_one() -> None:
    """The annotation of the field says what the dataclass is."""
    back = there_and_back(LLMCallFinished(call_id="1", usage=Usage(3, 4, 1, partial=True)))
    assert back.usage == Usage(3, 4, 1, partial=True)


def test_what_a_tool_yields_may_have_no_json_form() -> None:
    """A generator tool may yield anything: the delta is kept, and the reader sees what is not."""
    event = ToolOutputDelta(tool_id="1", tool_name="rows", delta="<row>", value=object())
    back = there_and_back(event)
    assert back.delta == "<row>"
    assert unserialisable(back) == {"value": back.value}
