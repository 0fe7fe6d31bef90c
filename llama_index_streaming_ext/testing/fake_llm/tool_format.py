"""The forms in which tools are offered to a model and its calls are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import ChatResponse, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json  # pyright: ignore[reportUnknownVariableType]
from llama_index.core.tools import BaseTool

from llama_index_streaming_ext.testing.fake_llm.provider_types import get
from llama_index_streaming_ext.testing.wire.items import Dialect


def chat_with_tools_kwargs(
    tools: Sequence[BaseTool],
    dialect: Dialect,
    *,
    parallel: bool | None = None,
    choice: str | dict[str, Any] | None = None,
    required: bool = False,
    strict: bool = False,
) -> dict[str, Any]:
    """Return the keyword arguments of `chat` that offer tools.

    Args:
        tools: the tools.
        dialect: the wire format.
        parallel: whether several calls at once are allowed; None: as the real class does.
        choice: which tool to call: a name, or a choice in the provider's form.
        required: whether a tool must be called.
        strict: whether the arguments must follow the schema.
    """
    offered = [_offered(tool, dialect, strict=strict) for tool in tools]
    kwargs: dict[str, Any] = {
        "tools": offered or None,
        "tool_choice": _choice(choice, required=required) if offered else None,
    }
    if offered or dialect == "responses":
        kwargs["parallel_tool_calls"] = dialect == "responses" if parallel is None else parallel
    return kwargs


def _offered(tool: BaseTool, dialect: Dialect, *, strict: bool) -> dict[str, Any]:
    function: dict[str, Any] = tool.metadata.to_openai_tool(skip_length_check=True)["function"]
    if dialect == "chat" or strict:
        function["parameters"]["additionalProperties"] = False
        function["strict"] = strict
    if dialect == "chat":
        return {"type": "function", "function": function}
    return {"type": "function", **function}


def _choice(choice: str | dict[str, Any] | None, *, required: bool) -> str | dict[str, Any]:
    if choice is None:
        return "required" if required else "auto"
    if isinstance(choice, Mapping) or choice in ("none", "auto", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def tool_selections(
    answer: ChatResponse, dialect: Dialect, *, required: bool = True
) -> list[ToolSelection]:
    """Read the tool calls of a chunk or an answer.

    Args:
        answer: the chunk or answer.
        dialect: the wire format that it came in.
        required: whether an answer without any is an error.

    Raises:
        ValueError: there is none.
    """
    blocks = [block for block in answer.message.blocks if isinstance(block, ToolCallBlock)]
    found = [_selection(b.tool_call_id, b.tool_name, b.tool_kwargs) for b in blocks]
    if not found and dialect == "chat":
        found = [_legacy(call) for call in answer.message.additional_kwargs.get("tool_calls", [])]
    if not found and required:
        raise ValueError("Expected at least one tool call, but got 0 tool calls.")
    return found


def _legacy(call: Any) -> ToolSelection:
    if get(call, "type") != "function":
        raise ValueError("Invalid tool type. Unsupported by OpenAI llm")
    function = get(call, "function")
    if function is None:
        # A call that never had a function: the real class stumbles here.
        raise AttributeError("'NoneType' object has no attribute 'arguments'")
    return _selection(get(call, "id"), get(function, "name"), get(function, "arguments"))


def _selection(id: str | None, name: str, arguments: Any) -> ToolSelection:  # noqa: A002
    return ToolSelection(tool_id=id or "", tool_name=name, tool_kwargs=_parsed(arguments))


def _parsed(arguments: Any) -> dict[str, Any]:
    # Core's function returns a dict of whatever.
    parse = cast("Callable[[str], dict[str, Any]]", parse_partial_json)
    if not isinstance(arguments, str):
        return arguments
    try:
        return parse(arguments)
    except (ValueError, TypeError, json.JSONDecodeError):
        return {}
