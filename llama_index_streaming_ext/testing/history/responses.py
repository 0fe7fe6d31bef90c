"""The input items that OpenAI's Responses endpoint refuses with status 400."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llama_index_streaming_ext.testing.history.problem import HistoryProblem

_CALL, _OUTPUT, _REASONING = "function_call", "function_call_output", "reasoning"
_FOLLOWS_REASONING = (_CALL, "message", _REASONING)
_ROLES = ("user", "assistant", "system", "developer")


def responses_problems(items: Sequence[Mapping[str, Any]]) -> Iterator[HistoryProblem]:
    """Yield the faults for which the Responses endpoint refuses input items.

    Args:
        items: the list that the endpoint gets as `input`.
    """
    called = {item.get("call_id"): index for index, item in _of_type(items, _CALL)}
    outputs = Counter(item.get("call_id") for _, item in _of_type(items, _OUTPUT))
    for call_id, index in called.items():
        if not outputs[call_id]:
            yield HistoryProblem(index, f"No tool output found for function call {call_id}.")
    for index, item in _of_type(items, _OUTPUT):
        call_id = item.get("call_id")
        if called.get(call_id, index) >= index:
            yield HistoryProblem(
                index, f"No tool call found for function call output with call_id {call_id}."
            )
    for call_id, count in outputs.items():
        if count > 1:
            yield HistoryProblem(None, f"{count} outputs for function call {call_id}")
    yield from _reasoning_problems(items)
    yield from _item_problems(items)


def _reasoning_problems(items: Sequence[Mapping[str, Any]]) -> Iterator[HistoryProblem]:
    for index, item in _of_type(items, _REASONING):
        following: Mapping[str, Any] = items[index + 1] if index + 1 < len(items) else {}
        if following.get("type") in _FOLLOWS_REASONING or following.get("role") == "assistant":
            continue
        yield HistoryProblem(
            index,
            f"Item '{item.get('id')}' of type 'reasoning' was provided without its required "
            "following item.",
        )


def _item_problems(items: Sequence[Mapping[str, Any]]) -> Iterator[HistoryProblem]:
    ids = Counter(item["id"] for item in items if item.get("id"))
    for item_id, count in ids.items():
        if count > 1:
            yield HistoryProblem(None, f"Duplicate item found with id {item_id}.")
    for index, item in enumerate(items):
        is_message = item.get("type") in (None, "message") and item.get("role") in _ROLES
        if is_message and item.get("content") in (None, []):
            yield HistoryProblem(index, "content: expected a string or a list that is not empty")


def _of_type(
    items: Sequence[Mapping[str, Any]], kind: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    return ((index, item) for index, item in enumerate(items) if item.get("type") == kind)
