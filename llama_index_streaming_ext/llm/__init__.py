"""Any LLM, made well-behaved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM

__all__ = ["StreamingLLM"]


def __getattr__(name: str) -> Any:
    # Imported when it is used: its modules are imported one by one by rooms below it, too.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM

    globals()[name] = StreamingLLM
    return StreamingLLM
