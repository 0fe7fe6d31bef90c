"""A script that asks a query engine: the answer as it is written, its sources, its events."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false

from _library import vector_index
from _provider import OpenAI

from llama_index_streaming_ext import AnswerDelta, StreamingQueryEngine


def main():
    index = vector_index()
    engine = StreamingQueryEngine(index.as_query_engine(llm=OpenAI(model="gpt-4o-mini")))

    response = engine.query("How high is the lighthouse?")
    response.print_response_stream()
    print("\n")

    for source in response.source_nodes:
        print(f"{source.score:.2f}  {source.node.get_content()[:60]}...")

    # What was read can be read again, and so can all that happened.
    tokens = list(response.read())
    print(f"\n{len(tokens)} tokens: {str(response)[:20]!r}...")
    for event in response.events():
        if not isinstance(event, AnswerDelta):
            print(f"- {type(event).__name__}")
    print(f"The query {response.outcome().status}.")

    # A reader who has had enough leaves the scope, and the LLM stops.
    with engine.query("How high is the lighthouse?") as response:
        for number, token in enumerate(response.response_gen):
            print(token, end="", flush=True)
            if number == 3:
                break
    print(f"... {response.outcome().status}")


if __name__ == "__main__":
    main()
