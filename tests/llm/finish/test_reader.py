"""How a call ended is read from what its provider said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.llms import ChatMessage, MockLLM

from llama_index_streaming_ext.events.usage import says_the_end
from llama_index_streaming_ext.llm.finish.reader import Finish, FinishReader, reader_for
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    fail,
    finish,
    refusal,
    text,
    tool_call,
    truncated,
    usage,
)
from tests.support.paths import DATA

ASK = [ChatMessage("Hi")]
WIRE = DATA / "wire"
SORRY = "I'm sorry."
FAILED = Finish("failed", "The model failed to generate a response.", "server_error")

ENDS = {
    "chat.empty": Finish("stop"),
    "chat.err_midstream": None,
    "chat.err_truncated": None,
    "chat.length": Finish("length"),
    "chat.quirk_two_deltas_one_chunk": Finish("tool_calls"),
    "chat.reasoning_content": Finish("stop"),
    "chat.refusal": Finish("refusal", SORRY),
    "chat.text": Finish("stop"),
    "chat.text_then_tool": Finish("tool_calls"),
    "chat.text_usage": Finish("stop"),
    "chat.tool_parallel": Finish("tool_calls"),
    "chat.tool_single": Finish("tool_calls"),
    "responses.failed": FAILED,
    "responses.length": Finish("length"),
    "responses.reasoning": Finish("stop"),
    "responses.text": Finish("stop"),
    "responses.tool_single": Finish("tool_calls"),
}
"""What the bodies in `tests/data/wire` say of their end."""

every_body = pytest.mark.parametrize("name", sorted(ENDS))


def raws(name: str, suffix: str) -> tuple[Any, list[Any]]:
    """The real class that a body is for, and the raws that it shows, up to an error."""
    fake = FakeOpenAI([Turn.from_wire((WIRE / f"{name}.{suffix}").read_text())])
    shown: list[Any] = []
    with fake.mock():
        llm = fake.llm() if name.startswith("chat.") else fake.responses_llm()
        if suffix == "json":
            return llm, [llm.chat(ASK).raw]
        try:
            shown.extend(chunk.raw for chunk in llm.stream_chat(ASK))
        except Exception:
            assert name == "chat.err_midstream"
    return llm, shown


def read(reader: FinishReader, shown: list[Any]) -> Finish | None:
    """What a reader says after it has seen all."""
    for raw in shown:
        reader.see(raw)
    return reader.finish


def test_every_body_has_its_end_here() -> None:
    """No stream in `tests/data/wire` is forgotten."""
    assert set(ENDS) == {path.stem for path in WIRE.glob("*.sse")}


@every_body
def test_a_stream_of_the_real_class(name: str) -> None:
    """The real class's raw chunks say how the stream ended."""
    llm, shown = raws(name, "sse")
    reader = reader_for(llm)
    assert read(reader, shown) == ENDS[name]
    assert reader.says_its_end


@every_body
def test_a_stream_of_dicts_of_an_unknown_llm(name: str) -> None:
    """An LLM that nobody knows, with the same chunks as dicts, says the same, for all it says."""
    _, shown = raws(name, "sse")
    reader = reader_for(MockLLM(max_tokens=None))
    assert read(reader, [raw.model_dump() for raw in shown]) == ENDS[name]
    assert not reader.says_its_end


@pytest.mark.parametrize("name", sorted(path.stem for path in WIRE.glob("*.json")))
def test_a_whole_answer_of_the_real_class(name: str) -> None:
    """The raw answer of a call that is not streamed says what the stream says."""
    llm, [raw] = raws(name, "json")
    assert read(reader_for(llm), [raw]) == ENDS[name]
    assert read(reader_for(MockLLM(max_tokens=None)), [raw.model_dump()]) == ENDS[name]


@every_body
def test_what_says_the_end_is_known_to(name: str) -> None:
    """A chunk that has a finish is one that `says_the_end` knows as an end, refusals apart."""
    llm, shown = raws(name, "sse")
    for raw in shown:
        said = read(reader_for(llm), [raw])
        assert said is None or said.reason == "refusal" or says_the_end(raw)


def of_fake(*parts: Any, dialect: Any = "chat", **framing: Any) -> FinishReader:
    """The reader of a fake's stream."""
    llm = FakeStreamingLLM([Turn(*parts, framing=framing)], dialect=dialect)
    reader = reader_for(llm)
    read(reader, [chunk.raw for chunk in llm.stream_chat(ASK)])
    return reader


both_dialects = pytest.mark.parametrize("dialect", ["chat", "responses"])


@both_dialects
def test_a_fake_says_how_it_ended(dialect: str) -> None:
    """The fake's end is read as the real class's is."""
    assert of_fake(text("a"), dialect=dialect).finish == Finish("stop")
    assert of_fake(text("a"), finish("length"), dialect=dialect).finish == Finish("length")
    assert of_fake(tool_call("f"), dialect=dialect).finish == Finish("tool_calls")


@both_dialects
def test_a_truncated_fake_says_nothing(dialect: str) -> None:
    """A stream that was cut has no finish, though the fake always says its end."""
    reader = of_fake(text("a"), truncated(), dialect=dialect)
    assert (reader.finish, reader.says_its_end) == (None, True)


@both_dialects
def test_a_refusal_is_said_once(dialect: str) -> None:
    """The fragments of a refusal are joined, and what repeats them whole is not added."""
    reader = of_fake(refusal("I'm", " sorry", "."), usage(1, 2), dialect=dialect)
    assert reader.finish == Finish("refusal", "I'm sorry.")
    assert reader.refusal == "I'm sorry."


@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=5), st.sampled_from(["chat", "responses"])
)
def test_the_refusal_is_the_sum_of_its_fragments(fragments: list[str], dialect: Any) -> None:
    """Whatever a refusal's fragments are, repeated ones too, their sum is the refusal."""
    assert of_fake(refusal(*fragments), dialect=dialect).refusal == "".join(fragments)


@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=5), st.sampled_from(["chat", "responses"])
)
def test_a_whole_refusal_is_the_stream_s(fragments: list[str], dialect: Any) -> None:
    """A refusal that is not streamed is read as the streamed one."""
    llm = FakeStreamingLLM([Turn(refusal(*fragments))], dialect=dialect)
    reader = reader_for(llm)
    assert read(reader, [llm.chat(ASK).raw]) == Finish("refusal", "".join(fragments))


def test_a_refusal_whose_last_fragment_has_the_finish_reason() -> None:
    """A refusal is one, too, where its end comes in the same chunk as its last fragment."""
    assert of_fake(refusal("No", "."), finish="last").finish == Finish("refusal", "No.")


def test_a_refusal_that_was_cut_off_is_a_refusal() -> None:
    """More tokens would not have brought an answer: a refusal cut at the limit is none of it."""
    assert of_fake(refusal("No"), finish("length")).finish == Finish("refusal", "No")


def test_a_filtered_refusal_is_filtered() -> None:
    """What the filter did is not the model's refusal."""
    assert of_fake(refusal("No"), finish("content_filter")).finish == Finish("content_filter")


def test_a_refusal_is_known_before_the_end() -> None:
    """A reader knows of a refusal from its first fragment on, also where the stream is cut."""
    assert of_fake(refusal("No"), truncated()).finish == Finish("refusal", "No")


@both_dialects
async def test_async_streams_say_the_same(dialect: Any) -> None:
    """The chunks of the async face say how the call ended."""
    llm = FakeStreamingLLM([Turn(refusal("No", "."))], dialect=dialect)
    reader = reader_for(llm)
    async for chunk in await llm.astream_chat(ASK):
        reader.see(chunk.raw)
    assert reader.finish == Finish("refusal", "No.")


def test_a_failure_in_a_responses_stream() -> None:
    """A failure that the provider says in the stream has its message and its code."""
    end = of_fake(text("a"), fail("Sorry!"), dialect="responses").finish
    assert end == Finish("failed", "Sorry!", "server_error")


EVENTS: dict[str, tuple[dict[str, Any], Finish | None]] = {
    "error": (
        {"type": "error", "code": "server_error", "message": "boom", "param": None},
        Finish("failed", "boom", "server_error"),
    ),
    "error without code": (
        {"type": "error", "code": None, "message": "boom"},
        Finish("failed", "boom"),
    ),
    "error, nested": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        Finish("failed", "Overloaded", "overloaded_error"),
    ),
    "failed without error": (
        {"type": "response.failed", "response": {"status": "failed", "error": None}},
        Finish("failed"),
    ),
    "filtered": (
        {
            "type": "response.incomplete",
            "response": {"incomplete_details": {"reason": "content_filter"}},
        },
        Finish("content_filter"),
    ),
    "incomplete for no reason": (
        {"type": "response.incomplete", "response": {"incomplete_details": None}},
        Finish("incomplete"),
    ),
    "refusal in the last event alone": (
        {
            "type": "response.completed",
            "response": {
                "output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]
            },
        },
        Finish("refusal"),
    ),
    "refusal part": (
        {"type": "response.content_part.added", "part": {"type": "refusal", "refusal": ""}},
        Finish("refusal"),
    ),
    "text part": (
        {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}},
        None,
    ),
    "delta": ({"type": "response.output_text.delta", "delta": "Hi"}, None),
    "queued": ({"object": "response", "status": "queued"}, None),
    "cancelled": ({"object": "response", "status": "cancelled"}, Finish("cancelled")),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_of_the_responses_api(name: str) -> None:
    """Each event of the Responses API is read alone, known LLM or not."""
    raw, end = EVENTS[name]
    known = FakeStreamingLLM(dialect="responses")
    assert read(reader_for(known), [raw]) == end
    assert read(reader_for(MockLLM(max_tokens=None)), [raw]) == end


def test_a_failure_that_was_explained_stays() -> None:
    """What comes after an explained failure takes nothing from it."""
    error, _ = EVENTS["error"]
    failed, _ = EVENTS["failed without error"]
    reader = reader_for(FakeStreamingLLM(dialect="responses"))
    assert read(reader, [error, failed]) == Finish("failed", "boom", "server_error")


def choice(**fields: Any) -> dict[str, Any]:
    """A chunk of Chat Completions as a dict."""
    return {"choices": [{"index": 0, "delta": {}, **fields}]}


CHAT: list[tuple[dict[str, Any], Finish | None]] = [
    (choice(finish_reason="function_call"), Finish("tool_calls")),
    (choice(finish_reason="content_filter"), Finish("content_filter")),
    (choice(finish_reason="Abort"), Finish("abort")),
    (choice(finish_reason=None), None),
    (choice(finish_reason=""), None),
    (choice(delta=None, finish_reason="stop"), Finish("stop")),
    (
        choice(finish_reason="error", error={"code": 502, "message": "Bad"}),
        Finish("failed", "Bad", "502"),
    ),
    ({"choices": [], "usage": {"prompt_tokens": 1}}, None),
    ({"choices": [], "error": {"message": "Sorry!"}}, Finish("failed", "Sorry!")),
    ({"choices": [], "error": "Sorry!"}, Finish("failed", "Sorry!")),
    (
        {"object": "text_completion", "choices": [{"text": "a", "finish_reason": "length"}]},
        Finish("length"),
    ),
]


@pytest.mark.parametrize(("raw", "end"), CHAT)
def test_chunks_of_servers_like_openai(raw: dict[str, Any], end: Finish | None) -> None:
    """Each chunk of a server like OpenAI's is read alone, known LLM or not."""
    assert read(reader_for(FakeStreamingLLM()), [raw]) == end
    assert read(reader_for(MockLLM(max_tokens=None)), [raw]) == end


def test_the_end_is_kept_when_more_chunks_come() -> None:
    """The usage that comes after the finish reason does not hide it."""
    shown: list[Any] = [
        choice(finish_reason="length"),
        {"choices": [], "usage": {"prompt_tokens": 1}},
        None,
    ]
    assert read(reader_for(FakeStreamingLLM()), shown) == Finish("length")


def test_no_chunk_at_all_says_nothing() -> None:
    """Before the first chunk a reader knows nothing."""
    reader = reader_for(MockLLM(max_tokens=None))
    assert (reader.finish, reader.refusal) == (None, "")


@given(st.lists(st.integers(0, 6), unique=True))
def test_chunks_that_say_nothing_may_be_left_out(left_out: list[int]) -> None:
    """A reader that sees only some of the chunks that say nothing reads the same."""
    quiet = [choice(delta={"content": str(i)}) for i in range(7)]
    kept = [raw for i, raw in enumerate(quiet) if i not in left_out]
    end = choice(finish_reason="length")
    assert read(reader_for(FakeStreamingLLM()), [*kept, end]) == Finish("length")


def test_llms_without_raw_say_nothing() -> None:
    """Core's MockLLM has no raw: its calls end without a word, and that is no truncation."""
    reader = reader_for(MockLLM(max_tokens=None))
    assert (
        read(reader, [chunk.raw for chunk in MockLLM(max_tokens=None).stream_complete("Hi")])
        is None
    )
    assert not reader.says_its_end
