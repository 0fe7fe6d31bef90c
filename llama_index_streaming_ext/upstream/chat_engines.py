"""Private parts of core's chat engines and memories: their state, and the methods to hook (U60).

Canaries: `tests/upstream/test_chat_engines.py`, `tests/upstream/test_memory_llms.py`.
"""

from __future__ import annotations

from typing import Any

from llama_index_streaming_ext.upstream.state import PrivateAttribute

LLM = PrivateAttribute[Any]("_llm")
"""The LLM that a simple chat engine asks."""

QUERY_ENGINE = PrivateAttribute[Any]("_query_engine")
"""The query engine that a condense-question chat engine asks."""

MEMORY = PrivateAttribute[Any]("_memory")
"""The memory of each of core's chat engines."""

TOKEN_COUNT = PrivateAttribute[int]("_token_count")
"""The number of tokens that a summary memory counts; it has no setter."""

MAKE_SYNTHESIZER = "_get_response_synthesizer"
"""The method that makes the synthesizer of a turn: Context, CondensePlusContext."""

RETRIEVE, ARETRIEVE = "_get_nodes", "_aget_nodes"
"""The methods that retrieve the nodes of a turn: the engines with context."""

CONDENSE, ACONDENSE = "_condense_question", "_acondense_question"
"""The methods that make one question of a conversation: the engines that condense."""
