"""LlamaIndex's own `OpenAI`; without OPENAI_API_KEY, what it calls is a fake on this machine.

The class is the real one, untouched, and it speaks real HTTP: the fake is a server that answers as
OpenAI's API does, and the environment variables that `OpenAI` reads anyway point at it.
"""

import atexit
import contextlib
import os
import re

from llama_index.llms.openai import OpenAI

from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Request,
    Turn,
    refusal,
    text,
    tool_call,
    wait,
)

__all__ = ["OpenAI"]

# What is answered to a question (by a word that occurs in it).
_ANSWERS = {
    # What core's sub-question engine asks: the parts of a question, an answer drawn from theirs.
    "<Tools>": """{"items": [
        {"sub_question": "How high is the tower?", "tool_name": "lighthouse"},
        {"sub_question": "Which boat goes to Gull Rock?", "tool_name": "ferries"}]}""",
    "Sub question:": "It is a climb of 196 steps, without a lift. The Kittiwake takes you there, "
    "if the wind is not above force six.",
    "How high is the tower": "The tower is 38 metres high and has 196 steps.",
    "Which boat": "The Kittiwake, unless the wind is above force six.",
    "How high is the lighthouse": "The lighthouse on Gull Rock is 38 metres high. To its lamp it "
    "is a climb of 196 steps.",
    # A query engine is asked, and then the agent whose tool it is.
    "Query: Who was the last keeper": "The last keeper of the lighthouse was Jorun Aas. She left "
    "in 1987, when the light was made automatic.",
    "Who was the last keeper": "It was Jorun Aas, who left in 1987.",
    "Moby Dick": "Call me Ishmael. Some years ago - never mind how long precisely - having little "
    "or no money in my purse, I thought I would sail about a little and see the watery part of "
    "the world.",
    "growing up": "The author worked on two things: writing, and programming.",
    "My name": "Nice to meet you, Ada.",
    "my name": "You are Ada.",
    "tides": "There is a book about tides on shelf 3.",
    "weather": "The current weather in San Francisco is partly cloudy with a temperature of "
    "13.9°C (57.0°F).",
}


def answer(request: Request) -> Turn:
    """Use the tool if there is one that has not been used, then answer, token by token."""
    asked = [str(m.get("content")) for m in request.messages if m["role"] == "user"][-1]
    if "code" in asked:
        return Turn(refusal("I cannot", " tell you that."))
    if "story" in asked:
        if "handoff" in request.tool_names:
            return Turn(tool_call("handoff", to_agent="writer", reason="a story is wanted"))
        return Turn(*(part for n in range(1, 400) for part in (text(f"wave {n} "), wait(0.02))))
    if "tides" in asked and request.messages[-1]["role"] != "tool":
        return Turn(tool_call("search_archive", query="tides"))
    if "library" in request.tool_names and request.messages[-1]["role"] != "tool":
        return Turn(tool_call("library", input=asked))
    if request.tools and request.messages[-1]["role"] != "tool":
        return Turn(tool_call(request.tool_names[0], query="weather in San Francisco"))
    said = next((said for word, said in _ANSWERS.items() if word in asked), "I do not know.")
    tokens = re.findall(r"\s*\S+", said)
    return Turn(*(part for token in tokens for part in (text(token), wait(0.02))))


if not os.environ.get("OPENAI_API_KEY"):
    serving = contextlib.ExitStack()
    atexit.register(serving.close)
    os.environ["OPENAI_API_KEY"] = "fake-key"
    os.environ["OPENAI_API_BASE"] = serving.enter_context(FakeOpenAI(answer).serve())
    # Calls to this machine must not go through a proxy that the environment names.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
