"""The program of the demo: a workflow and an agent stream, and a table says how they ended.

Both run with LlamaIndex's own `OpenAI` class over real HTTP. A fake provider on this machine
answers, or, live, the provider itself.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
from collections.abc import Coroutine
from typing import Any

from llama_index_streaming_ext.demo.agent_scene import run_agent
from llama_index_streaming_ext.demo.providers import fake_llm, live_llm
from llama_index_streaming_ext.demo.run_table import show_table
from llama_index_streaming_ext.demo.screen import Screen
from llama_index_streaming_ext.demo.workflow_scene import run_workflow
from llama_index_streaming_ext.errors import MissingDependency

_NEEDS = {
    "h11": "h11",
    "llama_index.llms.openai": "llama-index-llms-openai",
    # OpenAI's client imports it with its first call, which would pass for a slow first token.
    "openai.resources": "openai",
}


def run(*, live: bool, fast: bool) -> int:
    """Run the demo.

    Args:
        live: call the provider, with the key and the base URL that the environment has.
        fast: do not pace it for people to watch.

    Returns:
        0 when both runs were completed, else 1.

    Raises:
        MissingDependency: the `cli` extra is not installed.
        KeyboardInterrupt: Ctrl-C was pressed, and all that ran is stopped.
    """
    for module, what in _NEEDS.items():
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise MissingDependency(what, "cli") from error
    code = asyncio.run(_until_interrupted(_demo(live, 0.0 if fast else 1.0)))
    if code is None:
        raise KeyboardInterrupt
    return code


async def _until_interrupted(work: Coroutine[Any, Any, int]) -> int | None:
    """Return the result of a task; None if Ctrl-C cancelled it, once it has cleaned up."""
    task, loop = asyncio.create_task(work), asyncio.get_running_loop()

    def stop(*_: object) -> None:
        # asyncio's own handler would tear the cleaning up at a second Ctrl-C.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGINT, stop)
    try:
        await asyncio.wait({task})
    finally:
        signal.signal(signal.SIGINT, before)
    return None if task.cancelled() else task.result()


async def _demo(live: bool, pace: float) -> int:
    screen = Screen()
    async with live_llm() if live else fake_llm(pace) as llm:
        if live:
            screen.say(f"LlamaIndex's OpenAI class calls {llm.model} at {llm.api_base}.")
        else:
            screen.say(f"No key needed: at {llm.api_base} a fake of OpenAI's API answers,")
            screen.say("which LlamaIndex's own OpenAI class calls over HTTP.")
        ended = [await run_workflow(screen, llm), await run_agent(screen, llm, pace)]
    screen.title("3. How the runs ended")
    show_table(screen, ended)
    return 0 if all(one.outcome.status == "completed" for one in ended) else 1
