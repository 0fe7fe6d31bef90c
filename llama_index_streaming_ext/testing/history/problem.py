"""A fault of a conversation, as a provider would put it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HistoryProblem:
    """One fault of the messages in a request.

    Attributes:
        index: the position of the message at fault, from 0; None if the whole list is at fault.
        message: the fault in words, as the provider's error would say it.
        refused: True if OpenAI's endpoints answer 400; False if they accept the request although a
            user would call the conversation corrupted (Anthropic and Gemini refuse most of these).
    """

    index: int | None
    message: str
    refused: bool = True

    def __str__(self) -> str:
        at = "messages" if self.index is None else f"messages[{self.index}]"
        return f"{at}: {self.message}"
