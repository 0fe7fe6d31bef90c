"""What a token of an answer costs: our query engine beside core's, in one process.

Run it with `python tests/bench/query_tokens.py`. It prints CPU microseconds per token and their
ratios, all events on; what a query costs before its first token; and when the first word of a long
query is seen.
"""

# Core's signatures of what makes engines and synthesizers are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

from llama_index.core import MockEmbedding, Settings, SummaryIndex
from llama_index.core.query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext.events import LLMCallDelta
from llama_index_streaming_ext.query.engine import StreamingQueryEngine, stream_query
from llama_index_streaming_ext.query.llms.loop_llms import register_loop_llm
from tests.bench.bench_llm import ChattingLLM

RUNS = 5


def engine(tokens: int, **options: Any) -> Any:
    """A retriever query engine over one short text."""
    llm = ChattingLLM(tokens=tokens)
    index = SummaryIndex([TextNode(text="Paris is sunny.")])
    return index.as_query_engine(llm=llm, **options)


async def core_async(tokens: int) -> int:
    """Core's async path."""
    response: Any = await engine(tokens, streaming=True).aquery("?")
    return sum([len(delta) async for delta in response.async_response_gen()])


async def ours_async(tokens: int) -> int:
    """Our async path."""
    ours = StreamingQueryEngine(engine(tokens), show="calls")
    response = await ours.aquery("?")
    return sum([len(delta) async for delta in response.async_response_gen()])


def core_sync(tokens: int) -> int:
    """Core's sync path."""
    response: Any = engine(tokens, streaming=True).query("?")
    return sum(len(delta) for delta in response.response_gen)


def ours_sync(tokens: int) -> int:
    """Our sync path."""
    ours = StreamingQueryEngine(engine(tokens), show="calls")
    return sum(len(delta) for delta in ours.query("?").response_gen)


def cpu(way: Callable[[int], Any], tokens: int) -> tuple[float, float]:
    """CPU and wall microseconds per token."""
    begun, wall = time.process_time(), time.perf_counter()
    seen = way(tokens)
    if asyncio.iscoroutine(seen):
        seen = asyncio.run(seen)
    spent, waited = time.process_time() - begun, time.perf_counter() - wall
    assert seen == tokens * 4, seen
    return spent / tokens * 1e6, waited / tokens * 1e6


def tokens_table() -> None:
    """What a token costs."""
    pairs = {"async": (core_async, ours_async), "sync": (core_sync, ours_sync)}
    print(f"{'path':<6}{'tokens':>8}{'core':>9}{'ours':>9}{'ratio':>7}   us CPU/token (wall ratio)")
    for path, (core, ours) in pairs.items():
        for warmed_up in (core, ours):
            cpu(warmed_up, 200)
        for tokens in (1_000, 10_000, 50_000):
            both = [(cpu(core, tokens), cpu(ours, tokens)) for _ in range(RUNS)]
            theirs = statistics.median(c for (c, _), _ in both)
            mine = statistics.median(o for _, (o, _) in both)
            ratio = statistics.median(o / c for (c, _), (o, _) in both)
            wall = statistics.median(o / c for (_, c), (_, o) in both)
            print(f"{path:<6}{tokens:>8}{theirs:>9.1f}{mine:>9.1f}{ratio:>7.2f}   ({wall:.2f})")


def start_table() -> None:
    """What a query costs before its first token."""
    made, streaming = engine(1, streaming=True), StreamingQueryEngine(engine(1))
    times: dict[str, list[float]] = {"core": [], "ours": []}
    for _ in range(60):
        for name, one in (("core", made), ("ours", streaming)):
            begun = time.perf_counter()
            next(one.query("?").response_gen)
            times[name].append(time.perf_counter() - begun)
    core, ours = (statistics.median(times[name]) * 1e3 for name in ("core", "ours"))
    print(f"\nstart of a sync query: core {core:.2f} ms, ours {ours:.2f} ms, +{ours - core:.2f} ms")


class TwoQuestions(BaseQuestionGenerator):
    """Splits every question into two."""

    def generate(self, tools: Any, query: QueryBundle) -> list[SubQuestion]:
        """Two questions."""
        return [SubQuestion(sub_question=f"{n}?", tool_name="facts") for n in range(2)]

    async def agenerate(self, tools: Any, query: QueryBundle) -> list[SubQuestion]:
        """Two questions."""
        return self.generate(tools, query)

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts_dict: Any) -> None:
        pass


def slow(kind: str) -> Any:
    """An engine of several calls, each of which takes its time."""
    llm = ChattingLLM(tokens=100, pause=0.002)
    index = SummaryIndex([TextNode(text=f"Fact {n}. " * 700) for n in range(3)])
    tree = index.as_query_engine(llm=llm, response_mode="tree_summarize", streaming=True)
    if kind == "tree_summarize":
        return tree
    tool = QueryEngineTool.from_defaults(tree, name="facts", description="Facts.")
    from llama_index.core import get_response_synthesizer

    synthesizer = get_response_synthesizer(llm=llm, streaming=True)
    return SubQuestionQueryEngine(TwoQuestions(), synthesizer, [tool], verbose=False)


async def first_words() -> None:
    """When the first word is seen: core's first token, and our first inner delta."""
    for kind in ("tree_summarize", "sub_question"):
        begun = time.perf_counter()
        response: Any = await slow(kind).aquery("?")
        returned = time.perf_counter() - begun
        begun = time.perf_counter()
        live: Any = stream_query(slow(kind), "?", show="calls")
        async for _ in live.stream.read(types=LLMCallDelta):
            break
        seen = time.perf_counter() - begun
        live.close()
        del response
        print(
            f"{kind:<15} core returns after {returned * 1e3:.0f} ms; "
            f"our first inner delta comes after {seen * 1e3:.0f} ms"
        )


if __name__ == "__main__":
    Settings.embed_model = MockEmbedding(embed_dim=4)
    register_loop_llm(ChattingLLM, lambda llm, loop: llm)
    tokens_table()
    start_table()
    asyncio.run(first_words())
