"""The framing of a scripted turn on the wire: its chunks, and the content of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, cast, get_args, get_type_hints


class _Options:
    """A set of named options, which may also be given as a dict."""

    @classmethod
    def of(cls, given: Self | Mapping[str, Any] | None) -> Self:
        """Read options.

        Args:
            given: such options, a dict of some of them, or None for the defaults.

        Raises:
            TypeError: there is no option of that name.
            ValueError: the option has no such value.
        """
        if isinstance(given, cls):
            return given
        made = cls(**_known(cls, given or {}))
        _check_values(made)
        return made


def _known(cls: type, given: Any) -> Mapping[str, Any]:
    noun = cls.__name__.lower()
    names = list(get_type_hints(cls))
    if not isinstance(given, Mapping):
        raise TypeError(f"{noun}= takes {cls.__name__}(...) or a dict, not {given!r}.")
    options = cast("Mapping[str, Any]", given)
    for name in options:
        if name not in names:
            raise TypeError(f"{noun}= has no {name!r}; it has {', '.join(names)}.")
    return options


def _check_values(options: Any) -> None:
    hints = get_type_hints(options.__class__)
    for field in fields(options):
        allowed, value = get_args(hints[field.name]), getattr(options, field.name)
        if all(isinstance(choice, str) for choice in allowed) and allowed and value not in allowed:
            noun = type(options).__name__.lower()
            choices = ", ".join(repr(choice) for choice in allowed)
            raise ValueError(f"{noun}= {field.name} is one of {choices}, not {value!r}.")


@dataclass(frozen=True)
class Framing(_Options):
    """The places of roles, calls, finish reasons and usage among the chunks of Chat Completions.

    The defaults are what OpenAI does; the others are what servers that are compatible with it do.
    The Responses API leaves no such choice: there it has no effect.
    """

    role: Literal["openai", "alone", "first", "every", "never"] = "openai"
    """In a chunk of its own, in the first chunk that has something, in every chunk, or nowhere;
    OpenAI: alone, but for a single tool call, which it comes with."""
    calls: Literal["head", "first", "whole"] = "head"
    """A call's id and name: in a chunk of their own, with the first fragment, or with all."""
    finish: Literal["alone", "last"] = "alone"
    """The finish reason: in a chunk of its own or in the last chunk that has something."""
    usage: Literal["alone", "finish"] = "alone"
    """The usage: in a last chunk without choices or in the chunk that finishes."""
    reasoning: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    """The name of the field that holds reasoning text."""


@dataclass(frozen=True)
class Envelope(_Options):
    """The constant fields of every chunk, so that the same script gives the same bytes."""

    id: str | None = None
    """The id of the completion or response; None: `chatcmpl-fake` or `resp_fake`."""
    created: int = 1741570283
    """When it was created, in Unix seconds."""
    model: str = "fake-model"
    """The name of the model that answered."""
    system_fingerprint: str | None = "fp_fake"
    """The fingerprint, which only Chat Completions has."""
    service_tier: str | None = "default"
    """The tier that the request was served in."""
