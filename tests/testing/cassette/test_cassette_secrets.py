"""Keys never reach a cassette."""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from llama_index.core.llms import LLM, ChatMessage, ChatResponse, MockLLM

from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    fail,
    text,
    thinking,
    tool_call,
)
from llama_index_streaming_ext.testing.cassette import (
    CassetteEnded,
    LiveKeyFound,
    record_llm,
    replay_llm,
)
from llama_index_streaming_ext.testing.cassette.errors import CassetteMissing
from llama_index_streaming_ext.testing.cassette.format.cumulative import grown, shrunk
from llama_index_streaming_ext.testing.cassette.format.secrets import LiveKeys
from tests.support.testing.real_classes import real

LIVE = "lv-9fQ2/zX+7'kP\"w3Lm"
OTHER = "sk-proj-AbCd1234efGH5678"
ASK = [ChatMessage("Hi")]
SECRETS = [
    OTHER,
    "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x",
    "gsk_0123456789abcdef0123",
    "AIzaSyA0123456789abcdefghij",
    "AKIA0123456789ABCDEF",
]
FORMS = {
    "as it is": LIVE,
    "in JSON": json.dumps(LIVE)[1:-1],
    "in JSON in JSON": json.dumps(json.dumps({"k": LIVE})),
    "in a URL": quote(LIVE, safe=""),
    "in hex": LIVE.encode().hex(),
    "in base64": base64.b64encode(LIVE.encode()).decode(),
    "in base64, shifted": base64.b64encode(b"key: " + LIVE.encode() + b" and more").decode(),
    "in base64 for URLs": base64.urlsafe_b64encode(b"k" + LIVE.encode()).decode(),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
every_secret = pytest.mark.parametrize("secret", SECRETS, ids=lambda s: s.split("0")[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the cassette is."""
    return tmp_path / "calls.jsonl"


def cut(whole: str, at: list[int]) -> list[str]:
    """A text in pieces."""
    bounds = sorted({0, len(whole), *(i for i in at if i < len(whole))})
    return [whole[a:b] for a, b in itertools.pairwise(bounds)]


def read_all(llm: LLM) -> str:
    """The text of a stream."""
    return "".join(chunk.delta or "" for chunk in llm.stream_chat(ASK))


def clean(path: Path) -> bool:
    """Whether neither the live key nor a telling part of it is in the file."""
    written = path.read_text()
    return not any(form in written or form[:12] in written for form in FORMS.values())


@every_secret
def test_what_looks_like_a_key_is_scrubbed_everywhere(path: Path, secret: str) -> None:
    """Prompts, texts, thoughts, tool arguments and errors are written without it."""
    script = [
        Turn(thinking(secret), text(f"It is {secret}."), tool_call("save", key=secret)),
        Turn(text("a"), fail(f"Wrong key: {secret}")),
    ]
    llm = record_llm(real(script, "chat"), path)
    list(llm.stream_chat([ChatMessage(f"Use {secret}!")], tools=[{"name": "x", "about": secret}]))
    with pytest.raises(Exception, match="Wrong key"):
        read_all(llm)
    assert secret not in path.read_text()


def test_a_scrubbed_request_matches(path: Path) -> None:
    """The same request, with the key in it, finds its recording."""
    record_llm(FakeStreamingLLM("one"), path).complete(f"Use {OTHER}")
    assert replay_llm(path, speed=0).complete(f"Use {OTHER}").text == "one"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.lists(st.integers(1, 60), max_size=12), secret=st.sampled_from(SECRETS))
@example(at=list(range(60)), secret=OTHER)
def test_keys_in_pieces_are_scrubbed(path: Path, at: list[int], secret: str) -> None:
    """A key that streams in pieces is not in what the pieces say together."""
    whole = f"Take {secret} and go."
    llm = record_llm(real([Turn(text(*cut(whole, at)))], "chat"), path)
    assert read_all(llm) == whole
    chunks = list(replay_llm(path, speed=0).stream_chat(ASK))
    assert "".join(chunk.delta or "" for chunk in chunks) == "Take [scrubbed] and go."
    assert chunks[-1].message.content == "Take [scrubbed] and go."
    assert (
        "".join(cast("Any", c.raw).choices[0].delta.content or "" for c in chunks)
        == chunks[-1].message.content
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    whole=st.text(st.sampled_from("sk-Bear \n\\nx"), max_size=40), at=st.lists(st.integers(1, 40))
)
def test_other_text_stays_as_it_is(path: Path, whole: str, at: list[int]) -> None:
    """Text in pieces is scrubbed where the whole text is, and nowhere else."""
    for pieces in (cut(whole, at), [whole]):
        read_all(record_llm(FakeStreamingLLM([Turn(text(*pieces))]), path))
        got = list(replay_llm(path, speed=0).stream_chat(ASK))
        assert "".join(c.delta or "" for c in got) == (got[-1].message.content or "")
    if "sk-" not in whole and "Bearer " not in whole:
        assert got[-1].message.content == whole


def test_words_with_sk_in_them_are_kept(path: Path) -> None:
    """`task-oriented` is no key."""
    read_all(record_llm(FakeStreamingLLM([Turn("A task-oriented, risk-averse desk.")]), path))
    assert read_all(replay_llm(path, speed=0)) == "A task-oriented, risk-averse desk."


@every_form
def test_a_live_key_in_a_prompt_is_refused(path: Path, form: str) -> None:
    """The call raises before the LLM is asked, and nothing is written."""
    fake = FakeStreamingLLM("one")
    llm = record_llm(fake, path, live_key=LIVE)
    before = path.read_bytes()
    with pytest.raises(LiveKeyFound, match="The live key from live_key= stands in the request"):
        llm.complete(f"Use {form}")
    assert path.read_bytes() == before
    assert fake.calls == []


@every_form
@pytest.mark.parametrize("size", [1, 5, 100])
def test_a_live_key_in_an_answer_is_refused(path: Path, form: str, size: int) -> None:
    """Not even a part of it is written, whether it streams whole or in pieces."""
    pieces = cut(f"The key is {form}.", list(range(0, 200, size)))
    llm = record_llm(FakeStreamingLLM([Turn(text(*pieces))]), path, live_key=LIVE)
    with pytest.raises(LiveKeyFound):
        read_all(llm)
    assert clean(path)


@pytest.mark.parametrize("split", [2, "char"])
def test_a_live_key_in_tool_arguments_is_refused(path: Path, split: Any) -> None:
    """So it is in the JSON of a tool call."""
    turn = Turn(tool_call("save", {"key": LIVE}, split=split))
    llm = record_llm(real([turn], "chat"), path, live_key=LIVE)
    with pytest.raises(LiveKeyFound):
        read_all(llm)
    assert clean(path)


def test_a_live_key_in_an_error_is_refused(path: Path) -> None:
    """The error of the call is the cause."""
    llm = record_llm(FakeStreamingLLM([Turn(fail(ValueError(LIVE)))]), path, live_key=LIVE)
    with pytest.raises(LiveKeyFound) as error:
        read_all(llm)
    assert isinstance(error.value.__cause__, ValueError)
    assert clean(path)


def test_a_live_key_split_between_messages_is_refused(path: Path) -> None:
    """Two messages that say the key together are refused."""
    llm = record_llm(FakeStreamingLLM("one"), path, live_key=LIVE)
    message = ChatMessage(role="user", content=[{"block_type": "text", "text": LIVE[:9]}])
    message.blocks += ChatMessage(LIVE[9:]).blocks
    with pytest.raises(LiveKeyFound):
        llm.chat([message])


def test_the_key_of_the_llm_is_live(path: Path) -> None:
    """`llm.api_key` is known without being told."""
    llm: Any = real([], "chat")
    llm.api_key = OTHER
    with pytest.raises(LiveKeyFound, match="api_key of OpenAI"):
        record_llm(llm, path).complete(f"Use {OTHER}")


def test_keys_of_the_environment_are_live(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`*_API_KEY` is known without being told, also when it is set later."""
    llm = record_llm(FakeStreamingLLM("one"), path)
    monkeypatch.setenv("ACME_API_KEY", "acme-123456")
    with pytest.raises(LiveKeyFound, match=r"\$ACME_API_KEY"):
        llm.complete("Use acme-123456")


def test_short_values_are_no_keys(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value such as `test` in the environment refuses nothing."""
    monkeypatch.setenv("ACME_API_KEY", "test")
    record_llm(FakeStreamingLLM("one"), path).complete("This is a test")
    assert "This is a test" in path.read_text()


def test_the_error_does_not_say_the_key(path: Path) -> None:
    """Its message and its fields say where the key is from, not what it is."""
    llm = record_llm(FakeStreamingLLM("one"), path, live_key=LIVE)
    with pytest.raises(LiveKeyFound) as error:
        llm.complete(LIVE)
    assert LIVE not in str(error.value) + repr(vars(error.value))


def test_a_refused_recording_says_so(path: Path) -> None:
    """A replay of it goes as far as what was written."""
    llm = record_llm(FakeStreamingLLM([Turn(text("a", LIVE))]), path, live_key=LIVE)
    with pytest.raises(LiveKeyFound):
        read_all(llm)
    with pytest.raises(CassetteEnded, match="a live API key would have been written next"):
        read_all(replay_llm(path, speed=0))


def test_only_known_arguments_are_written(path: Path) -> None:
    """Of others only the name is kept: headers are none of the recording's business."""
    llm = record_llm(FakeStreamingLLM("one"), path)
    llm.complete("Hi", temperature=0.5, extra_headers={"x-session": "token-of-mine"}, user="ann")
    written = path.read_text()
    assert '"kwargs":{"temperature":0.5}' in written
    assert '"left_out":["extra_headers","user"]' in written
    assert "token-of-mine" not in written
    assert '"ann"' not in written


def test_only_known_fields_of_raw_are_written(path: Path) -> None:
    """What a provider says besides, such as who asked, is left out."""

    class Chatty(MockLLM):
        def chat(self, messages: Any, **kwargs: Any) -> Any:
            raw = {"id": "x1", "safety_identifier": "ann", "headers": {"cookie": "c00kie"}}
            return ChatResponse(message=ChatMessage("one"), raw=raw)

    record_llm(Chatty(max_tokens=None), path).chat(ASK)
    assert replay_llm(path, speed=0).chat(ASK).raw == {"id": "x1"}


def test_arguments_named_like_a_secret_are_blanked(path: Path) -> None:
    """A tool call's `password` is not written where the arguments are an object."""
    blocks = [{"block_type": "tool_call", "tool_name": "login", "tool_kwargs": {"password": "pw"}}]
    asked = ChatMessage(role="assistant", content=blocks)
    record_llm(FakeStreamingLLM("one"), path).chat([asked])
    assert '"password":"[scrubbed]"' in path.read_text()


def test_nothing_else_of_the_llm_is_written(path: Path) -> None:
    """The LLM's key, base URL and headers stay out."""
    llm: Any = real([Turn("one")], "chat", default_headers={"x-org": "acme-internal"})
    llm.api_key, llm.api_base = OTHER, "https://internal.example/v1"
    record_llm(llm, path).chat(ASK)
    written = path.read_text()
    assert not [s for s in (OTHER, "internal", "acme") if s in written]


@given(
    key=st.text(min_size=8, max_size=40), before=st.binary(max_size=7), after=st.binary(max_size=7)
)
def test_any_key_is_found_in_base64(key: str, before: bytes, after: bytes) -> None:
    """Wherever it stands in what was encoded."""
    keys = LiveKeys(Path("x"), {key: "test"})
    coded = base64.b64encode(before + key.encode(errors="surrogatepass") + after).decode()
    with pytest.raises(LiveKeyFound):
        keys.check(coded, "a test")


JSON = st.recursive(
    st.none() | st.integers() | st.text("ab+=", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["+", "=", "a", "id"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(now=JSON, before=JSON)
def test_differences_are_exact(now: Any, before: Any) -> None:
    """What is written as a difference comes back as it was."""
    assert grown(shrunk(now, before), before) == now


def test_a_missing_cassette_says_how_to_make_one(path: Path) -> None:
    """It is also a FileNotFoundError."""
    with pytest.raises(CassetteMissing, match="record one with record_llm"):
        replay_llm(path)


def test_the_key_of_an_llm_within_an_llm_is_known(tmp_path: Path) -> None:
    """A structured LLM is made of another, whose key does not get into the file either."""
    from llama_index.core.bridge.pydantic import BaseModel
    from llama_index.llms.openai import OpenAI

    from llama_index_streaming_ext.testing.cassette.format.secrets import LiveKeys

    class Answer(BaseModel):
        text: str

    llm = OpenAI(model="gpt-4o-mini", api_key="abcdefgh-not-shaped-like-one")
    keys = LiveKeys.of(tmp_path / "a.jsonl", llm.as_structured_llm(Answer))
    with pytest.raises(LiveKeyFound):
        keys.check("it is abcdefgh-not-shaped-like-one", "an answer")
