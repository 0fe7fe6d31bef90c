"""`TavilyToolSpec`: the real one where it is installed and has a key, else one of the same shape.

The stand-in is as slow as a search on the web, and finds one thing.
"""

import contextlib
import os
import time
from typing import TYPE_CHECKING

from llama_index.core import Document
from llama_index.core.tools.tool_spec.base import BaseToolSpec

__all__ = ["TavilyToolSpec"]


class TavilyToolSpec(BaseToolSpec):
    """A search of the web."""

    spec_functions = ["search"]  # noqa: RUF012 # as core declares it

    def __init__(self, api_key: str | None) -> None:
        self.api_key = api_key

    def search(self, query: str, max_results: int = 6) -> list[Document]:
        """Search the web and get results that fit the query."""
        time.sleep(0.2)
        return [Document(text=f"{query}: partly cloudy, 13.9°C (57.0°F)")][:max_results]


if not TYPE_CHECKING and os.environ.get("TAVILY_API_KEY"):
    with contextlib.suppress(ImportError):
        from llama_index.tools.tavily_research import TavilyToolSpec
