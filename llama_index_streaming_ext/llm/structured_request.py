"""Requests for objects in the Responses API that can be streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

_RESPONSES = "llama_index.llms.openai.responses"


def asks_past_its_chat(llm: LLM) -> bool:
    """Return True if a class asks its provider for objects by another way than its chat methods.

    `OpenAIResponses` does, by `responses.parse`; canary: tests/upstream/test_turns.py. One that
    chains its responses is left alone: its chat methods would put the object into the chain.
    """
    chained = getattr(llm, "track_previous_responses", False)
    return type(llm).astructured_predict.__module__ == _RESPONSES and not chained


def json_schema(output_cls: type[BaseModel]) -> dict[str, Any]:
    """Return the arguments by which `responses.parse` asks for an object, for a streamed call."""
    from openai import pydantic_function_tool  # an LLM of its class is there, so it is installed

    schema = pydantic_function_tool(output_cls)["function"].get("parameters")
    name = output_cls.__name__
    asked = {"type": "json_schema", "name": name, "schema": schema, "strict": True}
    return {"text": {"format": asked}, "tool_choice": "none"}
