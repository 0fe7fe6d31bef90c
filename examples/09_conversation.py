"""A conversation: runs that share one context remember the turns before."""

import asyncio

from _provider import OpenAI

from llama_index_streaming_ext import Context, FunctionAgent


async def main():
    agent = FunctionAgent(llm=OpenAI(model="gpt-4o-mini"))
    ctx = Context(agent)

    for question in ("Hello! My name is Ada.", "What is my name?"):
        print("You:  ", question)
        print("Agent: ", end="")
        async for text in agent.run(user_msg=question, ctx=ctx).text_stream():
            print(text, end="", flush=True)
        print()

    memory = await ctx.store.get("memory")
    print(f"{len(memory.get_all())} messages are remembered")


if __name__ == "__main__":
    asyncio.run(main())
