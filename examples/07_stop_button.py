"""A stop button: the run belongs to an `async with` block, and ends with it.

Leaving the block cancels the run and closes the stream of the LLM, so that nothing more is
generated or paid for. What was streamed so far is kept.
"""

import asyncio

from _provider import OpenAI

from llama_index_streaming_ext import FunctionAgent


async def main():
    agent = FunctionAgent(llm=OpenAI(model="gpt-4o-mini"))

    async with agent.run(user_msg="How does Moby Dick begin?") as handler:
        async for text in handler.text_stream():
            print(text, end="", flush=True)
            if "ago" in text:  # somebody presses stop
                break
    print()

    outcome = await handler.outcome()
    print(f"{outcome.status} after {outcome.seconds:.1f} s, with {outcome.text!r}")


if __name__ == "__main__":
    asyncio.run(main())
