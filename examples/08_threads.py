"""Progress from threads: `stream_writer(ctx)` is a function that any thread may call."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from llama_index_streaming_ext import (
    Context,
    Event,
    StartEvent,
    StopEvent,
    Workflow,
    step,
    stream_writer,
)


class Progress(Event):
    page: int
    words: int


PAGES = ["Call me Ishmael.", "Some years ago, never mind how long precisely,", "I went to sea."]


class CountWords(Workflow):
    @step
    def count(self, ctx: Context, ev: StartEvent) -> StopEvent:
        # A step that is not async runs in a thread already, and may use more of them.
        write = stream_writer(ctx)

        def count_page(number: int) -> int:
            words = len(PAGES[number].split())
            write(Progress(page=number, words=words))
            return words

        with ThreadPoolExecutor() as threads:
            return StopEvent(result=sum(threads.map(count_page, range(len(PAGES)))))


async def main():
    handler = CountWords().run()
    async for ev in handler.stream_events():
        if isinstance(ev, Progress):
            print(f"page {ev.page} has {ev.words} words")
    outcome = await handler.outcome()
    print(f"{outcome.status}: {outcome.result} words")


if __name__ == "__main__":
    asyncio.run(main())
