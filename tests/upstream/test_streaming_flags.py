"""Core keeps `streaming=True` in private attributes of its synthesizers and engines."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import pytest
from llama_index.core import SummaryIndex
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import TransformQueryEngine
from llama_index.core.schema import TextNode

from llama_index_streaming_ext.upstream.streaming_flags import is_built_to_stream


@pytest.mark.parametrize("streaming", [True, False])
def test_an_engine_keeps_that_it_streams(streaming: bool) -> None:
    """The synthesizer of an engine has the flag, and an engine around it has the engine."""
    engine = SummaryIndex([TextNode(text="x")]).as_query_engine(llm=MockLLM(), streaming=streaming)
    assert is_built_to_stream(engine) is streaming
    around = TransformQueryEngine(engine, HyDEQueryTransform(llm=MockLLM()))
    assert is_built_to_stream(around) is streaming
