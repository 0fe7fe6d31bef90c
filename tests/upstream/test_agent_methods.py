"""How core's agents read their LLM."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from llama_index.core.agent.workflow import CodeActAgent, FunctionAgent, ReActAgent

READ = "_get_streaming_response"


@pytest.mark.parametrize("cls", [FunctionAgent, ReActAgent, CodeActAgent])
def test_u28_core_reads_the_stream_in_one_method(cls: Any) -> None:
    """U28: whoever overrides it reads the stream by itself; `take_step` is who calls it."""
    method: Any = inspect.getattr_static(cls, READ)
    assert method.__module__.startswith("llama_index.core.")
    assert f"self.{READ}(" in inspect.getsource(cls.take_step)
