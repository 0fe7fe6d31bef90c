"""Sync queries side by side: how long twenty take over a slow retriever, and what gaps they make.

Run it with `python tests/bench/query_threads.py`.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from typing import Any

from llama_index.core import MockEmbedding, Settings
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llama_index_streaming_ext import StreamingQueryEngine
from tests.bench.bench_llm import ChattingLLM

QUERIES, PAUSE = 20, 0.2


class Slow(BaseRetriever):
    """Takes its time, in the thread that asks it."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        time.sleep(PAUSE)
        return [NodeWithScore(node=TextNode(text="Paris is sunny."), score=1.0)]


def engine(tokens: int, pause: float = 0.0) -> StreamingQueryEngine:
    """An engine over the slow retriever."""
    llm = ChattingLLM(tokens=tokens, pause=pause)
    inner: Any = RetrieverQueryEngine.from_args(Slow(), llm=llm)
    return StreamingQueryEngine(inner)


def twenty() -> float:
    """Seconds until twenty queries, begun at once in threads, have all been read."""
    one = engine(20)
    threads = [threading.Thread(target=lambda: str(one.query("?"))) for _ in range(QUERIES)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def largest_gap(*, beside: int) -> float:
    """The largest gap between the tokens of one paced query, in seconds, beside others."""
    paced = engine(100, pause=0.01).query("?")
    others = engine(20)
    threads = [threading.Thread(target=lambda: str(others.query("?"))) for _ in range(beside)]
    seen: list[float] = []
    for number, _ in enumerate(paced.response_gen):
        seen.append(time.perf_counter())
        if number == 10:
            for thread in threads:
                thread.start()
    for thread in threads:
        thread.join()
    return max(later - sooner for sooner, later in itertools.pairwise(seen[10:]))


if __name__ == "__main__":
    Settings.embed_model = MockEmbedding(embed_dim=4)
    twenty()
    took = statistics.median(twenty() for _ in range(5))
    print(f"{QUERIES} queries over a {PAUSE * 1e3:.0f} ms sync retriever: {took:.2f} s")
    for beside in (0, 1, QUERIES):
        gap = statistics.median(largest_gap(beside=beside) for _ in range(5))
        print(f"largest gap of a query of a token each 10 ms, beside {beside}: {gap * 1e3:.0f} ms")
