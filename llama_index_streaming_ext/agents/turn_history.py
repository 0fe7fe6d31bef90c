"""The messages of a turn, built from the records of its run.

Core writes a turn into the memory when the turn is complete. A turn that was stopped, or that
failed, leaves the user's message without an answer, and tool calls without a result: the next
request is then one that providers refuse (U29, U93). The records have all that happened, so the
history is built from them, whatever the turn ended with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llama_index.core.agent.workflow.codeact_agent import EXECUTE_TOOL_NAME
from llama_index.core.base.llms.types import (
    ChatMessage,
    ContentBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)

from llama_index_streaming_ext.agents.history import HANDOFF
from llama_index_streaming_ext.events import (
    AgentInput,
    AgentOutput,
    AgentStream,
    LLMCallStarted,
    Retrying,
    ToolCall,
    ToolCallResult,
)
from llama_index_streaming_ext.llm.marks import INTERRUPTED

if TYPE_CHECKING:
    from llama_index.core.memory import BaseMemory

    from llama_index_streaming_ext.stream.record import Record


@dataclass(slots=True)
class _LLMCall:
    """One LLM call of the turn, according to the records.

    Attributes:
        deltas: the text that was shown.
        output: the whole answer; None if the call was broken off.
        taken_back: True if the text does not count, as the model was asked again.
        started: the tool calls that were started, by their ids.
        results: the results of these, by the ids.
    """

    deltas: list[str] = field(default_factory=list[str])
    output: AgentOutput | None = None
    taken_back: bool = False
    started: dict[str, ToolCall] = field(default_factory=dict[str, ToolCall])
    results: dict[str, ToolCallResult] = field(default_factory=dict[str, ToolCallResult])


def turn_messages(records: Iterable[Record], ended: str) -> list[ChatMessage]:
    """Return the messages of a turn that was broken off, without the user's own.

    Every tool call has a result, adjacent messages of the assistant are one, and the last message
    is the assistant's, marked with `INTERRUPTED`.

    Args:
        records: the records of the run so far.
        ended: how the turn ended: `"stopped"`, `"failed"`, `"timed_out"`, `"lost"`.
    """
    messages: list[ChatMessage] = []
    for call in _llm_calls(records):
        for message in _call_messages(call, ended):
            _append(messages, message)
    if not messages or not _is_plain_answer(messages[-1]):
        _append(messages, _says(f"(This answer was broken off: {ended}.)"))
    messages[-1].additional_kwargs[INTERRUPTED] = ended
    return messages


async def keep_turn(memory: BaseMemory, records: Iterable[Record], ended: str) -> None:
    """Write into a memory what a broken-off turn has shown, if core has not written it.

    Args:
        memory: the memory of the run, which has the user's message already.
        records: the records of the run so far.
        ended: how the turn ended, as for `turn_messages`.
    """
    kept = last_turn(await memory.aget_all())
    if kept and _is_plain_answer(kept[-1]):
        return  # core has written the whole turn; what failed came after it
    messages = turn_messages(records, ended)
    # Core writes what came before a hand-off when it is made.
    known = {_answers_call(message) for message in kept} - {None}
    written = [i for i, message in enumerate(messages) if _answers_call(message) in known]
    await memory.aput_messages(messages[written[-1] + 1 :] if written else messages)


def _llm_calls(records: Iterable[Record]) -> list[_LLMCall]:
    """Collect the LLM calls of a run, in the order in which they began."""
    calls: dict[str, _LLMCall] = {}
    newest = ""
    for record in records:
        origin, event = record.origin, record.event
        if origin.run_id is not None:
            continue  # forwarded from an inner run: not a word of this conversation
        if isinstance(event, LLMCallStarted):
            newest = event.call_id
            calls[newest] = _LLMCall()
        elif isinstance(event, AgentInput) and (newest not in calls or calls[newest].output):
            # Without a StreamingLLM nothing else says that a call begins.
            newest = f"input-{record.seq}"
            calls[newest] = _LLMCall()
        elif newest:
            _add(calls.get(origin.call_id or newest) or calls[newest], event)
    return list(calls.values())


def _add(call: _LLMCall, event: Any) -> None:
    if isinstance(event, AgentStream):
        call.deltas.append(event.delta)
    elif isinstance(event, AgentOutput):
        call.output = call.output or event
    elif isinstance(event, Retrying):
        call.taken_back = True
    elif isinstance(event, ToolCallResult):
        call.results[event.tool_id] = event
    elif isinstance(event, ToolCall):
        call.started.setdefault(event.tool_id, event)


def _call_messages(call: _LLMCall, ended: str) -> Iterator[ChatMessage]:
    """Yield the messages that one LLM call leaves in the history."""
    if call.taken_back:
        return
    if call.output is None:
        text = "".join(call.deltas).rstrip()
        if text:
            yield _says(text)
        return
    said = call.output.response
    native = {block.tool_call_id for block in said.blocks if isinstance(block, ToolCallBlock)}
    native |= {one["id"] for one in said.additional_kwargs.get("tool_calls") or () if "id" in one}
    if call.output.tool_calls or said.content:
        yield said.model_copy(
            update={"blocks": list(said.blocks), "additional_kwargs": {**said.additional_kwargs}}
        )
    for selected in call.output.tool_calls:
        tool_id, result = selected.tool_id, call.results.get(selected.tool_id)
        text = _result_text(call, tool_id, ended)
        if tool_id in native:
            blocks: list[ContentBlock] = list(result.tool_output.blocks) if result else []
            yield ChatMessage(
                role=MessageRole.TOOL,
                blocks=blocks or [TextBlock(text=text)],
                additional_kwargs={"tool_call_id": tool_id},
            )
        elif selected.tool_name == EXECUTE_TOOL_NAME:
            yield ChatMessage(f"Result of executing the code given:\n\n{text}")
        else:
            yield _says(f"\nObservation: {text}\n")
        if result is not None and _is_direct_answer(result):
            yield _says(result.tool_output.content or "")


def _result_text(call: _LLMCall, tool_id: str, ended: str) -> str:
    result = call.results.get(tool_id)
    if result is not None:
        return result.tool_output.content or ""
    if tool_id in call.started:
        return f"(The call was broken off: {ended}. It may or may not have taken effect.)"
    return f"(The call was not made: {ended} before.)"


def _append(messages: list[ChatMessage], message: ChatMessage) -> None:
    """Add a message; a second one of the assistant goes on in the first."""
    last = messages[-1] if messages else None
    if last is not None and message.role == MessageRole.ASSISTANT and _is_plain_answer(last):
        last.blocks = _joined(last.blocks, message.blocks)
        last.additional_kwargs.update(message.additional_kwargs)
    else:
        messages.append(message)


def _joined(before: list[ContentBlock], after: list[ContentBlock]) -> list[ContentBlock]:
    """Return the blocks of both; where text meets text, as one block."""
    if before and after and isinstance(before[-1], TextBlock) and isinstance(after[0], TextBlock):
        text = TextBlock(text=f"{before[-1].text}{after[0].text}")
        return [*before[:-1], text, *after[1:]]
    return [*before, *after]


def _is_plain_answer(message: ChatMessage) -> bool:
    """Return True if a message is the assistant's and calls no tool."""
    return (
        message.role == MessageRole.ASSISTANT
        and not any(isinstance(block, ToolCallBlock) for block in message.blocks)
        and not message.additional_kwargs.get("tool_calls")
    )


def _is_direct_answer(result: ToolCallResult) -> bool:
    is_answer = result.return_direct and not result.tool_output.is_error
    return is_answer and result.tool_name != HANDOFF


def last_turn(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the messages from the last one of the user on; all, if there is none.

    Args:
        messages: a conversation.
    """
    asked = [i for i, message in enumerate(messages) if message.role == MessageRole.USER]
    return list(messages[asked[-1] :] if asked else messages)


def begins_in_the_middle(messages: Sequence[ChatMessage]) -> bool:
    """Return True if messages are empty, or begin with the result of a tool call.

    A memory with a token limit may give that (U94), and no provider takes it.

    Args:
        messages: what a memory has given.
    """
    spoken = [message for message in messages if message.role != MessageRole.SYSTEM]
    return not spoken or spoken[0].role == MessageRole.TOOL


def _answers_call(message: ChatMessage) -> str | None:
    """Return the id of the tool call that a message is the result of; None if of none."""
    is_result = message.role == MessageRole.TOOL
    return message.additional_kwargs.get("tool_call_id") if is_result else None


def _says(text: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=[TextBlock(text=text)])
