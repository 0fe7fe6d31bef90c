"""The number of tokens that a run used, as far as its raw chunks report it."""

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
        partial: whether an LLM call was broken off, so that more was used than is counted.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    partial: bool = False

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def grown_to(self, later: Usage) -> Usage:
        """The usage of one call of which a later chunk says more."""
        return Usage(
            max(self.input_tokens, later.input_tokens),
            max(self.output_tokens, later.output_tokens),
            self.calls,
            self.partial or later.partial,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.calls + other.calls,
            self.partial or other.partial,
        )


def usage_of(raw: Any) -> Usage | None:
    """The usage that a provider's raw chunk or response carries, None where it says nothing.

    Understands OpenAI's chat (`usage.prompt_tokens`) and Responses dialects
    (`response.usage.input_tokens`), Anthropic's (`usage.input_tokens`, `message.usage`) and
    Gemini's (`usage_metadata.prompt_token_count`), as dicts or as the providers' own objects.
    """
    if raw is None:
        return None
    found = _get(raw, "usage") or _get(raw, "usage_metadata")
    for nested in ("response", "message"):
        found = found or _get(_get(raw, nested), "usage")
    if found is None:
        return None
    used_in, used_out = _first(found, _INPUT_NAMES), _first(found, _OUTPUT_NAMES)
    if used_in is None and used_out is None:
        return None
    thoughts = _first(found, ("thoughts_token_count",))  # Gemini counts them beside the answer
    return Usage(used_in or 0, (used_out or 0) + (thoughts or 0), calls=1)


def says_the_end(raw: Any) -> bool:
    """Return True if a raw chunk is known to be the last of its LLM call, or next to the last.

    True where it has a finish reason, or nothing but a usage, in the shapes of OpenAI, Anthropic
    and Gemini.
    """
    if _get(raw, "finish_reason") or _get(raw, "stop_reason"):
        return True
    if _get(raw, "type") in ("response.completed", "response.incomplete", "response.failed"):
        return True
    choices = _get(raw, "choices")
    if choices is None:
        choices = _get(raw, "candidates")
    if isinstance(choices, list) and choices:
        return any(_get(choice, "finish_reason") for choice in cast("list[Any]", choices))
    return choices == [] and usage_of(raw) is not None


def _get(holder: Any, name: str) -> Any:
    """A value of a dict, or of an object, None where there is none."""
    if isinstance(holder, Mapping):
        return cast("Mapping[str, Any]", holder).get(name)
    return getattr(holder, name, None)


def _first(counts: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = _get(counts, name)
        if isinstance(value, int):
            return value
    return None
