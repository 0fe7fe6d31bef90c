"""How many tokens a run has used, as far as its raw chunks say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

# What each provider's raw chunk calls the two counts.
_INPUT_NAMES = ("input_tokens", "prompt_tokens", "prompt_token_count")
_OUTPUT_NAMES = ("output_tokens", "completion_tokens", "candidates_token_count")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted by the provider, summed over LLM calls.

    Attributes:
        input_tokens: tokens of the prompts.
        output_tokens: tokens of the answers, reasoning included.
        calls: LLM calls that said how much they used.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.calls + other.calls,
        )


def usage_of(raw: Any) -> Usage | None:
    """The usage that a provider's raw chunk or response carries, None where it says nothing.

    Understands OpenAI's chat (`usage.prompt_tokens`) and Responses dialects
    (`response.usage.input_tokens`), Anthropic's (`usage.input_tokens`) and Gemini's
    (`usage_metadata.prompt_token_count`).
    """
    if not isinstance(raw, Mapping):
        return None
    chunk = cast("Mapping[str, Any]", raw)
    found = chunk.get("usage") or chunk.get("usage_metadata")
    if found is None and isinstance(chunk.get("response"), Mapping):
        found = chunk["response"].get("usage")
    if not isinstance(found, Mapping):
        return None
    counts = cast("Mapping[str, Any]", found)
    used_in, used_out = _first(counts, _INPUT_NAMES), _first(counts, _OUTPUT_NAMES)
    if used_in is None and used_out is None:
        return None
    return Usage(used_in or 0, used_out or 0, calls=1)


def says_the_end(raw: Any) -> bool:
    """Whether a raw chunk is known to be among the last of its LLM call.

    True where it has a finish reason or a usage, in the shapes of OpenAI, Anthropic and Gemini.
    """
    if not isinstance(raw, Mapping):
        return False
    chunk = cast("Mapping[str, Any]", raw)
    if chunk.get("finish_reason") or chunk.get("stop_reason") or usage_of(chunk) is not None:
        return True
    if chunk.get("type") in ("response.completed", "response.incomplete", "response.failed"):
        return True
    for choices in (chunk.get("choices"), chunk.get("candidates")):
        for choice in cast("list[Any]", choices) if isinstance(choices, list) else ():
            if isinstance(choice, Mapping) and cast("Mapping[str, Any]", choice).get(
                "finish_reason"
            ):
                return True
    return False


def _first(counts: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = counts.get(name)
        if isinstance(value, int):
            return value
    return None
