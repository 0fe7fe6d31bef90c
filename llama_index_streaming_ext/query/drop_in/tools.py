"""Core's `QueryEngineTool` by its own name, whose work the agent's run shows."""

from __future__ import annotations

from llama_index_streaming_ext.query.tool import StreamingQueryEngineTool


class QueryEngineTool(StreamingQueryEngineTool):
    """A query engine as a tool, whose tokens and sources appear in the stream of the agent's run.

    The same as `StreamingQueryEngineTool`, under the name that core has for it.
    """
