"""hypothesis strategies: scripts, and the ways in which streams are cut and stopped.

hypothesis is imported when a strategy is made: `pip install 'llama-index-streaming-ext[testing]'`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from llama_index_streaming_ext.errors import MissingDependency
from llama_index_streaming_ext.testing.script.parts import Part, ToolCall
from llama_index_streaming_ext.testing.script.turns import (
    Turn,
    disconnect,
    fail,
    finish,
    parallel,
    refusal,
    text,
    thinking,
    tool_call,
    usage,
)
from llama_index_streaming_ext.testing.wire.splitting import Split

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from llama_index_streaming_ext.stream.event_stream import EventStream


def scripts(
    tools: Iterable[str] | Mapping[str, SearchStrategy[dict[str, Any]]] = (),
    *,
    max_turns: int = 3,
    failures: bool = True,
) -> SearchStrategy[list[Turn]]:
    """Scripts for a `FakeStreamingLLM` or a `FakeOpenAI`: what an LLM may say to an agent.

    The last turn is an answer, and each turn before it calls tools, alone or several at once; with
    no tools there is one turn. Turns have text and thinking in any chunks, refusals, a usage, and
    finish reasons.

    Args:
        tools: the tools that may be called; by name, with a strategy of their arguments, or names
            alone, which are called without arguments.
        max_turns: how many turns there are at most.
        failures: whether the last turn may break off: by an error of the provider, or because the
            connection is reset.

    Raises:
        MissingDependency: hypothesis is not installed.

    Example:
        >>> @given(script=scripts({"weather": st.fixed_dictionaries({"city": st.text()})}))
        ... async def test_any_conversation(script):
        ...     agent = FunctionAgent(llm=FakeStreamingLLM(script), tools=[weather])
        ...     await check_stream(agent.run(user_msg="How is the weather?"))
    """
    _need_hypothesis()
    from hypothesis import strategies as st

    called = _calls(tools)

    @st.composite
    def script(draw: DrawFn) -> list[Turn]:
        calling = draw(st.integers(0, max_turns - 1)) if called is not None else 0
        turns = [
            Turn(*draw(st.lists(_said(), max_size=2)), draw(called))
            for _ in range(calling)
            if called is not None
        ]
        answer = draw(st.lists(_said(), max_size=3))
        return [*turns, Turn(*answer, *draw(_ends(failures)))]

    return script()


def chunkings(whole: str, *, max_chunks: int | None = None) -> SearchStrategy[list[str]]:
    """The ways to cut a text into pieces, none of them empty. The simplest is one piece.

    Args:
        whole: the text, which the pieces make when they are joined.
        max_chunks: how many pieces there are at most.

    Raises:
        MissingDependency: hypothesis is not installed.

    Example:
        >>> @given(deltas=chunkings('{"city": "Paris"}'))
        ... def test_arguments_in_any_pieces(deltas):
        ...     llm = FakeStreamingLLM([Turn(tool_call("weather", fragments=deltas))])
    """
    _need_hypothesis()
    from hypothesis import strategies as st

    if not whole:
        return st.just([])
    most = len(whole) - 1 if max_chunks is None else min(max_chunks, len(whole)) - 1
    places = st.integers(1, len(whole) - 1) if len(whole) > 1 else st.nothing()
    cuts = st.lists(places, max_size=max(most, 0), unique=True)
    return cuts.map(
        lambda cuts: [whole[a:b] for a, b in itertools.pairwise([0, *sorted(cuts), len(whole)])]
    )


def byte_splits() -> SearchStrategy[Split]:
    """The ways in which a `FakeOpenAI` can cut the bytes of its answers: its `split=`.

    Raises:
        MissingDependency: hypothesis is not installed.

    Example:
        >>> @given(split=byte_splits())
        ... def test_answer_in_any_pieces(split):
        ...     with FakeOpenAI(["It is sunny ☀."], split=split).serve() as url:
        ...         assert ask(url) == "It is sunny ☀."
    """
    _need_hypothesis()
    from hypothesis import strategies as st

    whole: SearchStrategy[Split] = st.sampled_from([None, "byte"])
    sizes: SearchStrategy[Split] = st.lists(st.integers(1, 64), min_size=1, max_size=5)
    return whole | sizes | st.integers(0, 999).map(lambda seed: f"random:{seed}")


@dataclass(frozen=True)
class CancelPoint:
    """A point in a run at which a test does something to it, such as cancelling.

    Attributes:
        turns: turns of the event loop after the start.
        records: how many records the run's log is to have; 0: that does not matter.
    """

    turns: int = 0
    records: int = 0

    async def reached(self, handler: Any, *, patience: float = 1.0) -> None:
        """Wait until the run is there, or over.

        Args:
            handler: the handler of the run, or its stream. Only those of this package can tell
                their records.
            patience: seconds to wait for the records, which never come where the run itself waits
                for something.
        """
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if not self.records:
            return
        stream: EventStream = getattr(handler, "stream", handler)
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(patience),
                contextlib.aclosing(stream.read(self.records - 1, internal=True)) as records,
            ):
                await anext(records, None)


def cancel_points(*, max_turns: int = 80, max_records: int = 25) -> SearchStrategy[CancelPoint]:
    """Points in a run at which to cancel it, to leave it, or to start to read it.

    Args:
        max_turns: the latest point, in turns of the event loop.
        max_records: the latest point, in records; 0 for runs of upstream's own handlers, which
            cannot tell.

    Raises:
        MissingDependency: hypothesis is not installed.

    Example:
        >>> @given(point=cancel_points())
        ... async def test_stop_button(point):
        ...     handler = agent.run(user_msg="Hi")
        ...     await point.reached(handler)
        ...     await handler.cancel_run()
        ...     await check_stream(handler)
    """
    _need_hypothesis()
    from hypothesis import strategies as st

    turns = st.builds(CancelPoint, turns=st.integers(0, max_turns))
    if not max_records:
        return turns
    return turns | st.builds(CancelPoint, records=st.integers(1, max_records))


# --- the parts of a script ------------------------------------------------------------------------


def _said() -> SearchStrategy[Part]:
    from hypothesis import strategies as st

    pieces = st.text(st.characters(codec="utf-8"), max_size=6)
    deltas = st.lists(pieces, min_size=1, max_size=6)
    return st.one_of(
        deltas.map(lambda deltas: text(*deltas)),
        deltas.map(lambda deltas: thinking(*deltas)),
    )


def _calls(
    tools: Iterable[str] | Mapping[str, SearchStrategy[dict[str, Any]]],
) -> SearchStrategy[Part] | None:
    from hypothesis import strategies as st

    none: SearchStrategy[dict[str, Any]] = st.just({})
    given: Mapping[str, SearchStrategy[dict[str, Any]]] = (
        cast("Any", tools) if isinstance(tools, Mapping) else dict.fromkeys(tools, none)
    )
    if not given:
        return None
    splits: SearchStrategy[Any] = st.integers(1, 4) | st.sampled_from(["json", "char"])
    one = st.one_of(
        [
            st.builds(functools.partial(_call, name), arguments, splits)
            for name, arguments in given.items()
        ]
    )
    orders: SearchStrategy[Any] = st.sampled_from(["interleaved", "together"])
    several = st.builds(_parallel, st.lists(one, min_size=2, max_size=3), orders)
    return st.one_of(one, several)


def _call(name: str, arguments: dict[str, Any], split: Any) -> ToolCall:
    return tool_call(name, arguments, split=split)


def _parallel(calls: list[ToolCall], order: Any) -> Part:
    return parallel(*calls, order=order)


def _ends(failures: bool) -> SearchStrategy[tuple[Part, ...]]:
    from hypothesis import strategies as st

    ends: list[tuple[Part, ...]] = [
        (),
        (usage(12, 3),),
        (finish("length"),),
        (refusal("I", " will not."),),
        (finish("content_filter"), usage(0, 0)),
    ]
    if failures:
        ends += [(fail("The provider broke."),), (disconnect(),)]
    return st.sampled_from(ends)


def _need_hypothesis() -> None:
    try:
        importlib.import_module("hypothesis")
    except ImportError as error:
        raise MissingDependency("hypothesis", "testing") from error
