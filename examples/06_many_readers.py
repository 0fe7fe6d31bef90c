"""One run, many readers: at once, late, and from where the last one stopped."""

import asyncio

from _provider import OpenAI

from llama_index_streaming_ext import AgentStream, FunctionAgent, StreamingHandler


async def read(handler: StreamingHandler) -> str:
    return "".join([text async for text in handler.text_stream()])


async def main():
    agent = FunctionAgent(llm=OpenAI(model="gpt-4o-mini"))
    handler = agent.run(user_msg="How does Moby Dick begin?")

    # A hundred readers at once: each gets everything.
    texts = await asyncio.gather(*(read(handler) for _ in range(100)))
    print(f"{len(texts)} readers, {len(set(texts))} text: {texts[0][:16]}...")

    # One that stops, and goes on later after the last record that it has seen.
    seen, last = "", 0
    async for record in handler.stream.read(types=AgentStream):
        seen, last = seen + record.event.delta, record.seq
        if "years" in seen:
            break
    async for record in handler.stream.read(after=last, types=AgentStream):
        seen += record.event.delta
    print(f"stopped at record {last}, went on: the same text is {seen == texts[0]}")

    # One that joins late: the sum of what has been, and then what is still to come.
    again = agent.run(user_msg="How does Moby Dick begin?")
    async for text in again.text_stream():
        if "Ishmael" in text:
            break
    snapshot = again.stream.snapshot()
    rest = ""
    async for record in again.stream.read(after=snapshot.seq, types=AgentStream):
        rest += record.event.delta
    print(f"joined late at record {snapshot.seq}: {snapshot.text!r} and {len(rest)} characters")


if __name__ == "__main__":
    asyncio.run(main())
