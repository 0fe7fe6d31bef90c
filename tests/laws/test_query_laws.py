"""The laws hold for queries, whatever the LLM says, however many are asked, and wherever."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llama_index_streaming_ext.events import AnswerDelta
from llama_index_streaming_ext.query.engine import StreamingQueryEngine
from llama_index_streaming_ext.query.response.aio import AsyncLiveResponse
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, check_stream, fail, text
from tests.support.laws.laws import PATIENCE, examples


class Facts(BaseRetriever):
    """A retriever that finds some facts."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="a fact"))]


WORDS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), max_size=12)
ANSWERS = st.lists(st.tuples(WORDS, st.booleans(), st.booleans()), min_size=1, max_size=8)
OPTIONS = st.fixed_dictionaries(
    {"max_lead": st.sampled_from([1, 3, 64]), "show": st.sampled_from(["answer", "calls"])}
)


async def check(answer: tuple[list[str], bool, bool], options: dict[str, Any]) -> None:
    """Ask, keep the laws, and get exactly what the LLM has said."""
    words, fails, in_thread = answer
    end = (fail(RuntimeError("out")),) if fails else ()
    llm = FakeStreamingLLM([Turn(*([text(*words)] if words else []), *end)])
    engine = RetrieverQueryEngine.from_args(Facts(), llm=llm)
    run = StreamingQueryEngine(engine, **options).start("why", is_async=not in_thread)
    checking = asyncio.create_task(check_stream(run.stream, timeout=PATIENCE))
    async with asyncio.timeout(PATIENCE):
        try:
            said = "".join([token async for token in AsyncLiveResponse(run).read()])
            assert not fails
        except RuntimeError:
            assert fails
            said = run.text
    report = await checking
    deltas = [r.event.delta for r in report.recording.records if isinstance(r.event, AnswerDelta)]
    assert said == "".join(words) == "".join(deltas)


@given(answers=ANSWERS, options=OPTIONS)
@examples(20)
def test_queries_at_once_keep_the_laws(
    answers: list[tuple[list[str], bool, bool]], options: dict[str, Any]
) -> None:
    """In tasks and in threads, each gets its own tokens, all of them, and its own error."""

    async def main() -> None:
        await asyncio.gather(*(check(answer, options) for answer in answers))

    asyncio.run(main())


@given(stop_after=st.integers(0, 10), in_thread=st.booleans(), options=OPTIONS)
@examples(20)
def test_a_query_stopped_anywhere_keeps_the_laws(
    stop_after: int, in_thread: bool, options: dict[str, Any]
) -> None:
    """Its log ends with the stop, whoever reads."""

    async def main() -> None:
        llm = FakeStreamingLLM([Turn(text(*["word "] * 200))])
        engine = RetrieverQueryEngine.from_args(Facts(), llm=llm)
        run = StreamingQueryEngine(engine, **options).start("why", is_async=not in_thread)
        reading = run.stream.read()
        for _ in range(stop_after):
            await anext(reading)
        run.stop()
        await reading.aclose()
        await run.stopped()
        await check_stream(run.stream, timeout=PATIENCE)
        assert (await run.stream.outcome()).status == "cancelled"

    asyncio.run(main())
