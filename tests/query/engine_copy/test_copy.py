"""A copy of an engine works as the engine does, and asks none of its LLMs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.response_synthesizers import ResponseMode

from llama_index_streaming_ext.query.engine_copy.classes import CopyRule, copy_rule_of
from llama_index_streaming_ext.query.engine_copy.copy import Survey, copy_of
from llama_index_streaming_ext.query.engine_copy.shapes import shape_of
from llama_index_streaming_ext.testing import FakeStreamingLLM
from tests.support.looks import check_all
from tests.support.query.copies import llms_of
from tests.support.query.core_engines import CHAT_ENGINES, QUERY_ENGINES, Person, fake, plain

MODES = [mode.value for mode in ResponseMode]
UNSTREAMED = {"accumulate", "compact_accumulate"}


@pytest.fixture(autouse=True)
def outcast() -> Iterator[Any]:
    """The LLM of last resort, which an engine that has its own has no reason to ask."""
    Settings.llm = llm = fake()
    yield llm
    Settings.llm = None  # pyright: ignore[reportAttributeAccessIssue] # as core documents
    assert not llm.calls


def asked(engine: Any, *, is_async: bool) -> str:
    """What the engine answers, whole."""
    if not is_async:
        return str(engine.query("why?"))

    async def ask() -> str:
        response = await engine.aquery("why?")
        if hasattr(response, "get_response") and inspect.iscoroutinefunction(response.get_response):
            response = await response.get_response()
        return str(response)

    return asyncio.run(ask())


def told(engine: Any, *, is_async: bool) -> str:
    """What the chat engine answers, streamed, to the second of two messages."""
    if not is_async:
        str(engine.chat("why?"))
        return "".join(engine.stream_chat("how?").response_gen)

    async def ask() -> str:
        await engine.achat("why?")
        response = await engine.astream_chat("how?")
        return "".join([token async for token in response.async_response_gen()])

    return asyncio.run(ask())


def check(make: Callable[[Any], Any], ask: Callable[[Any], str]) -> None:
    """A copy answers as the engine does, by the same calls, none of them of the engine's LLM."""
    upstream, original, other = fake(), fake(), fake()
    engine, copied = make(upstream), make(original)
    for llm in (upstream, original):
        llm.calls.clear()  # an index may have asked it while it was built
    expected = ask(engine)
    copy = copy_of(copied, lambda _: other)
    assert ask(copy) == expected
    assert not original.calls
    assert _asked_of(other) == _asked_of(upstream)


def _asked_of(llm: FakeStreamingLLM) -> list[str]:
    # Calls that are made at once come in any order.
    return sorted(str(call.messages) for call in llm.calls)


def it_works_on_other_llms(name: str, is_async: bool) -> None:
    """Each of core's query engines works on other LLMs as on its own."""
    check(QUERY_ENGINES[name], lambda engine: asked(engine, is_async=is_async))


def a_chat_works_on_other_llms(name: str, is_async: bool) -> None:
    """Each of core's chat engines works on other LLMs as on its own."""
    check(CHAT_ENGINES[name], lambda engine: told(engine, is_async=is_async))


def whole_answers(mode: str, is_async: bool) -> None:
    """Each of the response modes works on other LLMs as on the engine's own."""
    # U53: where no LLM is asked, Settings.llm is nevertheless looked up.
    options: dict[str, Any] = {"response_mode": mode, "streaming": False}
    check(lambda llm: plain(llm, **options), lambda engine: asked(engine, is_async=is_async))


def streamed_answers(mode: str, is_async: bool) -> None:
    """Each of the response modes streams on other LLMs as on the engine's own, if it can."""
    options: dict[str, Any] = {"response_mode": mode, "streaming": mode not in UNSTREAMED}
    check(lambda llm: plain(llm, **options), lambda engine: asked(engine, is_async=is_async))


def structured_answers(mode: str, is_async: bool) -> None:
    """A class to fill in is filled in by other LLMs as by the engine's own."""
    options: dict[str, Any] = {"response_mode": mode, "output_cls": Person}
    check(lambda llm: plain(llm, **options), lambda engine: asked(engine, is_async=is_async))


def answer_filtering(mode: str, is_async: bool) -> None:
    """The program that filters answers is made by a bound method, which is bound to the copy."""
    options: dict[str, Any] = {"response_mode": mode, "structured_answer_filtering": True}
    check(lambda llm: plain(llm, **options), lambda engine: asked(engine, is_async=is_async))


def the_users_engine_is_untouched(name: str) -> None:
    """Copying an engine, and querying the copy, leaves each attribute of the engine as it was."""
    engine = QUERY_ENGINES[name](fake())
    before = snapshot(engine)
    str(copy_of(engine, lambda _: fake()).query("why?"))
    assert snapshot(engine) == before


def the_users_chat_engine_is_untouched(name: str) -> None:
    """Chatting with a copy leaves the engine as it was, but for the memory, which is shared."""
    engine = CHAT_ENGINES[name](fake())
    before = snapshot(engine)
    copy_of(engine, lambda _: fake()).chat("why?")
    assert snapshot(engine) == before
    assert len(engine.chat_history) == 2


def no_llm_is_left(name: str) -> None:
    """The only LLM within reach of a copy is the one that was put in."""
    engine = {**QUERY_ENGINES, **CHAT_ENGINES}[name](fake())
    other = fake()
    assert [llm is other for llm in llms_of(copy_of(engine, lambda _: other))] == [True]


def tokens_are_counted_alike(name: str) -> None:
    """A token counter counts the calls of a copy as those of the engine."""
    counts: list[tuple[int, int]] = []
    for copied in (False, True):
        counter = TokenCountingHandler(tokenizer=str.split)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Settings, "_callback_manager", CallbackManager([counter]))
            engine = QUERY_ENGINES[name](fake())
            counter.reset_counts()
            if copied:
                engine = copy_of(engine, lambda llm: fake(callback_manager=llm.callback_manager))
            str(engine.query("why?"))
        counts.append((counter.total_llm_token_count, len(counter.llm_token_counts)))
    assert counts[0] == counts[1]
    assert counts[0][0] > 0


def in_both_faces(check: Callable[[str, bool], None], name: str) -> list[tuple[str, Any]]:
    """A check, sync and async."""
    return [("sync", partial(check, name, False)), ("async", partial(check, name, True))]


@pytest.mark.parametrize("name", QUERY_ENGINES)
def test_query_engine(name: str) -> None:
    """A copy of each of core's query engines does what the engine does, and leaves it alone."""
    checks = (the_users_engine_is_untouched, no_llm_is_left, tokens_are_counted_alike)
    check_all(
        [
            *in_both_faces(it_works_on_other_llms, name),
            *((check.__name__, partial(check, name)) for check in checks),
        ]
    )


@pytest.mark.parametrize("name", CHAT_ENGINES)
def test_chat_engine(name: str) -> None:
    """A copy of each of core's chat engines does what the engine does, and leaves it alone."""
    checks = (the_users_chat_engine_is_untouched, no_llm_is_left)
    check_all(
        [
            *in_both_faces(a_chat_works_on_other_llms, name),
            *((check.__name__, partial(check, name)) for check in checks),
        ]
    )


@pytest.mark.parametrize("mode", MODES)
def test_response_mode(mode: str) -> None:
    """A copy works in each response mode: whole, streamed, with a class, with filtering."""
    checks = [
        *((f"whole, {face}", check) for face, check in in_both_faces(whole_answers, mode)),
        *((f"streamed, {face}", check) for face, check in in_both_faces(streamed_answers, mode)),
        *((f"class, {face}", check) for face, check in in_both_faces(structured_answers, mode)),
    ]
    if mode in {"refine", "compact"}:
        filtered = in_both_faces(answer_filtering, mode)
        checks += [(f"filtered, {face}", check) for face, check in filtered]
    check_all(checks)


def test_two_copies_at_once() -> None:
    """U60: what a chat with one copy toggles is not what a chat with the other reads."""
    engine = CHAT_ENGINES["condense_question"](fake())
    one, two = (copy_of(engine, lambda _: fake()) for _ in range(2))
    assert len({id(synthesizer(chat_engine)) for chat_engine in (engine, one, two)}) == 3


def synthesizer(chat_engine: Any) -> Any:
    """The synthesizer that a condense-question engine toggles."""
    return chat_engine._query_engine._response_synthesizer


def snapshot(root: object) -> dict[int, object]:
    """The ids of all that is held within reach, by the ids of what holds it."""
    survey = Survey(root)
    looked_into = [
        obj for obj in survey.met.values() if copy_rule_of(type(obj)) is not CopyRule.LLM
    ]
    return {id(obj): [id(held) for held in shape_of(obj).held(obj)] for obj in looked_into}
