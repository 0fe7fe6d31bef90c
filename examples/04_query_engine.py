"""Streaming a query engine: the snippets of LlamaIndex's page on it, on a small text.

Only imports are changed: `ResponseSynthesizer`, which core does not have, is ours. What the engines
give is core's own; `StreamingQueryEngine(query_engine)` gives a response that can be read twice,
shows what the engine does, and stops when it is stopped.
"""

# Core's own signatures are not typed in full.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from _provider import OpenAI
from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.query_engine import RetrieverQueryEngine

from llama_index_streaming_ext import ResponseSynthesizer

Settings.llm = OpenAI(model="gpt-4o-mini")
Settings.embed_model = MockEmbedding(embed_dim=8)


def main():
    text = "Before college I worked on two things, outside of school: writing and programming."
    index = VectorStoreIndex.from_documents([Document(text=text)])
    retriever = index.as_retriever()

    query_engine = index.as_query_engine(streaming=True)
    streaming_response = query_engine.query("What did the author do growing up?")
    assert isinstance(streaming_response, StreamingResponse)
    for text in streaming_response.response_gen:
        print(text, end="")
    print()

    synth = ResponseSynthesizer.from_args(streaming=True)
    query_engine = RetrieverQueryEngine(retriever, response_synthesizer=synth)
    streaming_response = query_engine.query("What did the author do growing up?")
    assert isinstance(streaming_response, StreamingResponse)
    streaming_response.print_response_stream()
    print()


if __name__ == "__main__":
    main()
