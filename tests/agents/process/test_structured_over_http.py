"""Structured answers of the real OpenAI classes."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent

from llama_index_streaming_ext import (
    FunctionAgent,
)
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    text,
)
from tests.support.agents.structured_answers import (
    ANSWER,
    AS_TEXT,
    AS_TOOL,
    GROWTH,
    PARIS,
    City,
    objects,
    seen_by,
)


@pytest.mark.parametrize(
    ("mode", "model"),
    [("schema", "gpt-4o-mini"), ("tool", "gpt-3.5-turbo"), ("responses", "gpt-4o-mini")],
)
async def test_the_real_classes_stream_objects(mode: str, model: str) -> None:
    """By the provider's own way: a schema, a function; `responses.parse` does not stream."""
    fake = FakeOpenAI([ANSWER, AS_TOOL if mode == "tool" else AS_TEXT])
    async with fake.serve():
        make: Any = fake.responses_llm if mode == "responses" else fake.llm
        handler = FunctionAgent(llm=make(model=model), output_cls=City).run(user_msg="hi")
        assert objects(await seen_by(handler)) == GROWTH
    asked = json.loads(fake.requests[1].body)
    schemas = {
        "schema": lambda: asked["response_format"]["json_schema"]["schema"],
        "tool": lambda: asked["tools"][0]["function"]["parameters"],
        "responses": lambda: asked["text"]["format"]["schema"],
    }
    assert set(schemas[mode]()["properties"]) == set(City.model_fields)


async def test_responses_are_asked_as_the_class_asks() -> None:
    """The schema that we send is that of `responses.parse`."""
    sent: list[Any] = []
    for agent_class in (FunctionAgent, CoreFunctionAgent):
        fake = FakeOpenAI([ANSWER, Turn(text(json.dumps(PARIS)))])
        async with fake.serve():
            await agent_class(llm=fake.responses_llm(), output_cls=City).run(user_msg="hi")
        sent.append(json.loads(fake.requests[1].body))
    ours, theirs = sent
    assert ours["text"] == theirs["text"]
    assert ours["input"] == theirs["input"]
    assert ours["tool_choice"] == theirs["tool_choice"]


async def test_responses_that_are_chained_are_left_alone() -> None:
    """The object would become a part of the conversation at the provider."""
    fake = FakeOpenAI([ANSWER, Turn(text(json.dumps(PARIS)))])
    async with fake.serve():
        llm = fake.responses_llm(track_previous_responses=True)
        handler = FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi")
        assert objects(await seen_by(handler)) == [PARIS]
