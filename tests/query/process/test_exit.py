"""A program that ends in the middle of a query ends."""

from __future__ import annotations

import pytest

from tests.support.ready_python import ReadyPython

SCRIPT = """
from llama_index.core import MockEmbedding, SummaryIndex
from llama_index.core.schema import TextNode
from llama_index_streaming_ext import StreamingQueryEngine
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, gate, text

llm = FakeStreamingLLM([Turn(text(*["word "] * 300), {gate})])
index = SummaryIndex([TextNode(text="Paris")], embed_model=MockEmbedding(2))
response = StreamingQueryEngine(index.as_query_engine(llm=llm)).query("?")
for token in response.response_gen:
    break
print("the end")
"""


@pytest.mark.parametrize("stall", ["text('more')", "gate('never')"])
def test_a_program_with_an_unread_answer_ends(stall: str, python: ReadyPython) -> None:
    """The response is collected when the interpreter goes, where no thread can be started."""
    done = python.run(SCRIPT.replace("{gate}", stall))
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")
