"""Tool lists, in which a whole ToolSpec may stand for its tools (U32)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.tools.tool_spec.base import BaseToolSpec


def expand_tool_specs(tools: Sequence[Any]) -> list[Any]:
    """The tools of a list, where each ToolSpec is replaced by the tools that it has.

    Raises:
        TypeError: a ToolSpec class stands in the list, not an instance of it.
    """
    expanded: list[Any] = []
    for tool in tools:
        if isinstance(tool, type) and issubclass(tool, BaseToolSpec):
            raise TypeError(
                f"{tool.__name__} is a class: put an instance into the list, {tool.__name__}(...)."
            )
        if isinstance(tool, BaseToolSpec):
            expanded.extend(tool.to_tool_list())
        else:
            expanded.append(tool)
    return expanded
