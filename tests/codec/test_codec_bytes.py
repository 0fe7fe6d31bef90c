"""What is no record, and what a record cannot do."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workflows.events import (
    UnreconstructedException,
)

from llama_index_streaming_ext.codec import decode, encode, registered_events
from llama_index_streaming_ext.errors import UndecodableRecord
from llama_index_streaming_ext.events import WorkflowFailedEvent
from llama_index_streaming_ext.upstream.event_data import dynamic_attributes
from tests.support.codec_samples import (
    CORE_EVENTS,
    Failure,
    Wrapped,
    json_like,
    there_and_back,
)
from tests.support.paths import DATA


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("tool.call", b"nope", "no JSON"),
        ("tool.call", b"\xff", "no JSON"),
        ("tool.call", b"NaN", "no JSON"),
        ("tool.call", b"[]", "an object with fields was expected"),
        ("tool.call", b'{"tool_name":"t","tool_kwargs":{}}', "field 'tool_id': is missing"),
        ("tool.call", b'{"tool_name":1,"tool_kwargs":{},"tool_id":"1"}', "field 'tool_name'"),
        ("agent.stream", b'{"d":1}', "field 'delta'"),
        ("workflow.stop", b'{"_result":{"$new":1}}', r"field '_result': '\$new' is no tag"),
        ("workflow.stop", b'{"_result":{"$set":[[]]}}', "field '_result'"),
        ("workflow.stop", b'{"_result":{"$set":1}}', "field '_result'"),
        ("workflow.stop", b'{"_result":{"$error":[1,2]}}', "field '_result'"),
        ("workflow.stop", b'{"_result":{"$lost":[1,2]}}', "field '_result'"),
        ("workflow.stop", b'{"_data":1}', "field '_data'"),
        ("event", b'{"_result":1}', "field '_result'"),
        (
            "workflow.stop",
            b'{"_result":{"$model":["message",{"role":"king"}]}}',
            r"field '_result\.role'",
        ),
        ("agent.input", b'{"input":[1],"current_agent_name":"a"}', r"field 'input\.0"),
        ("workflow.failed", b'{"step_name":"s","exception":"x"}', "field 'exception'"),
        ("event", b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}", "nested too deeply"),
        ("event", b'{"a":' + b"1" * 5000 + b"}", "no JSON"),
    ],
)
def test_bytes_that_are_no_record_are_refused(kind: str, data: bytes, reason: str) -> None:
    """The error has the kind, the bytes, and says which field is wrong."""
    with pytest.raises(UndecodableRecord, match=reason) as caught:
        decode(kind, data)
    assert (caught.value.kind, caught.value.data) == (kind, data)


kinds = st.sampled_from([*registered_events(), "nobody.knows"])
tags = st.sampled_from(["event", "error", "model", "lost", "dict", "set", "int", "path"])


def tagged(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give objects that look like what the codec writes for a value."""
    held = inner | st.lists(inner, max_size=2)
    return st.tuples(tags, held).map(lambda pair: {f"${pair[0]}": pair[1]})


payloads = st.recursive(json_like, tagged, max_leaves=6)
fields = st.sampled_from(
    sorted({name for cls in CORE_EVENTS for name in cls.model_fields} | {"d", "_data", "_result"})
)


@given(kinds, st.binary() | st.dictionaries(fields, payloads).map(lambda d: json.dumps(d).encode()))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_an_event_or_undecodable_record(kind: str, data: bytes) -> None:
    """Nothing else is raised; and what could be read can be written again."""
    try:
        event = decode(kind, data)
    except UndecodableRecord:
        return
    encode(event)


EVIL: list[bytes] = [
    b'{"_result":{"$event":["os.system",{"a":1}]}}',
    b'{"_result":{"$event":["?antigravity.Event",{}]}}',
    b'{"_result":{"$model":["antigravity.Model",{}]}}',
    b'{"_result":{"$error":["antigravity.Error","x"]}}',
    b'{"_result":{"$error":["builtins.eval","1"]}}',
    b'{"_result":{"__is_pydantic":true,"qualified_name":"antigravity.X","value":{}}}',
    b'{"_result":{"__is_component":true,"qualified_name":"antigravity.X","value":{}}}',
]
EVIL_FIELDS: list[tuple[str, str]] = [
    ("workflow.failed", '{"step_name":"s","exception":%s}'),
    ("workflow.collection_release", '{"events":[%s]}'),
    ("test.wrapped", '{"failure":{"error":%s}}'),
    ("test.wrapped", '{"failure":{"error":{"$error":["a.B","c"]}},"cls":"antigravity.X"}%.0s'),
]
EVIL_VALUES = [
    '{"exception_type":"antigravity.X","exception_message":"x"}',
    '{"__is_pydantic":true,"qualified_name":"antigravity.X","value":{}}',
]


def evil_records() -> list[tuple[str, bytes]]:
    """Give records that name a module which nobody has imported."""
    inside = [(k, (f % v).encode()) for k, f in EVIL_FIELDS for v in EVIL_VALUES]
    return [("?antigravity.X", b"{}"), *(("workflow.stop", data) for data in EVIL), *inside]


@pytest.mark.parametrize(("kind", "data"), evil_records())
def test_nothing_is_imported_by_a_name_in_the_data(kind: str, data: bytes) -> None:
    """`antigravity` opens a browser when it is imported: a record must not be able to do that."""
    before = set(sys.modules)
    with suppress(UndecodableRecord):
        encode(decode(kind, data))
    assert set(sys.modules) == before
    assert "antigravity" not in sys.modules


def test_a_name_of_a_builtin_that_is_no_exception_is_only_a_name() -> None:
    """`builtins.eval` is not called."""
    event: Any = decode("workflow.stop", EVIL[4])
    assert type(event.result) is UnreconstructedException
    assert event.result.original_type == "builtins.eval"


def test_an_error_inside_of_a_users_model_comes_back() -> None:
    """Upstream's own annotation takes what the codec has built."""
    back = there_and_back(Wrapped(failure=Failure(error=ValueError("no"))))
    assert repr(back.failure.error) == "ValueError('no')"


STORED: list[tuple[str, str]] = [
    (kind, data) for kind, data in json.loads((DATA / "codec_records.json").read_text())
]


@pytest.mark.parametrize("record", STORED, ids=lambda record: record[0])
def test_records_of_version_0_1_read_back(record: tuple[str, str]) -> None:
    """A record that version 0.1 wrote comes back as its class, and is written the same today."""
    kind, data = record[0], record[1].encode()
    event = decode(kind, data)
    assert type(event) is registered_events()[kind]
    if isinstance(event, WorkflowFailedEvent):
        # Reading it adds these.
        assert (event.exception_type, event.exception_message) == ("builtins.ValueError", "no")
        for name in ("exception_type", "exception_message", "traceback"):
            del dynamic_attributes(event)[name]
    # The class of `usage` has moved since; its name in a record is for people.
    today = data.replace(b"streaming_ext.usage.Usage", b"streaming_ext.events.usage.Usage")
    assert encode(event) == (kind, today)


def test_every_kind_of_version_0_1_has_a_stored_record() -> None:
    """No kind of ours or of upstream's is without a stored record."""
    kinds = json.loads((DATA / "codec_kinds.json").read_text())
    assert {kind for kind, _ in STORED} == set(kinds)
