"""What the LLM of the engines in `engines.py` answers: told from what the prompt asks for."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any, NamedTuple

from llama_index.core.bridge.pydantic import PrivateAttr

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, gate, text, tool_call, wait
from llama_index_streaming_ext.testing.script.request import Request

ANSWER_TOKENS = 12
"""How many tokens an answer has."""

SQL = "SELECT name, launched FROM boats ORDER BY launched DESC"
SUB_QUESTIONS = [
    {"sub_question": "How high is the tower on Gull Rock?", "tool_name": "lighthouse"},
    {"sub_question": "Which boat sails to Gull Rock?", "tool_name": "ferries"},
]

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "Fact": {"answer": "The tower on Gull Rock is thirty-eight metres high.", "metres": 38},
    "Height": {"place": "Gull Rock", "metres": 38},
    "SingleSelection": {"index": 1, "reason": "It is about the lighthouse."},
    "MultiSelection": {
        "selections": [
            {"index": 1, "reason": "It is about the lighthouse."},
            {"index": 2, "reason": "It is about the way there."},
        ]
    },
    "StructuredRefineResponse": {
        "answer": "The tower is thirty-eight metres high.",
        "query_satisfied": True,
    },
}
"""The arguments of each tool that it may be offered: structured answers are asked for by tools."""

_CONTROLS: dict[str, str] = {
    "<Tools>": f"```json\n{json.dumps({'items': SUB_QUESTIONS})}\n```",
    "return the choice that is most": '[{"choice": 1, "reason": "It is about that."}]',
    "return the top choices": '[{"choice": 1, "reason": "Yes."}, {"choice": 2, "reason": "Too."}]',
    "structured_request": '```json\n{"query": "lighthouse", "filters": []}\n```',
    "create a syntactically correct": f"{SQL}\nSQLResult:",
    "return a new question": "How does one get to Gull Rock?",
    "make the question more specific": "What drives the boat that was launched in 2021?",
}
"""What is answered where core goes on with it, by what such prompts contain."""


class Taken(NamedTuple):
    """A call, and its answer."""

    request: Request
    """What was asked."""
    tokens: tuple[str, ...]
    """The answer; the arguments of a tool count as one token."""
    is_text: bool = True
    """Whether it is a text, and not a call of a tool."""

    @property
    def text(self) -> str:
        """The text of the answer."""
        return "".join(self.tokens) if self.is_text else ""

    def produced(self, chunks: int) -> int:
        """How many tokens of it were handed out, with so many chunks."""
        if not self.request.stream:
            return len(self.tokens) if chunks else 0
        # The first chunk of a stream is empty, and so is the last.
        return min(max(chunks - 1, 0), len(self.tokens))


class Script:
    """The script of one LLM, which is to be asked by one engine.

    Args:
        rejects: how many evaluations find the answer bad, before the others find it good.
        pace: seconds that a token takes.
        held: the gate that is behind the first token of every answer, if there is to be one.

    Attributes:
        taken: the requests that were answered, and with what.
    """

    def __init__(self, rejects: int = 0, pace: float = 0.0, held: str | None = None) -> None:
        self.taken: list[Taken] = []
        self._held = held
        self._pace = pace
        self._rejects = rejects

    def __call__(self, request: Request) -> Turn:
        """What a request is answered with."""
        for name in request.tool_names:
            self.taken.append(Taken(request, ("{...}",), is_text=False))
            return Turn(tool_call(name, _ARGUMENTS[name], split=5))
        pieces = tokens(self._answer(request.text))
        self.taken.append(Taken(request, pieces))
        if self._held:
            return Turn(text(*pieces[:1]), gate(self._held), text(*pieces[1:]))
        if not self._pace:
            return Turn(text(*pieces))
        return Turn(*(part for piece in pieces for part in (wait(self._pace), text(piece))))

    def _answer(self, prompt: str) -> str:
        if "Either YES/ NO" in prompt or "still answer YES" in prompt:
            return "NO" if self._rejected() else "YES"
        if "guidelines" in prompt:
            passing = not self._rejected()
            return json.dumps({"passing": passing, "feedback": "Say it in metres."})
        found = (said for asked, said in _CONTROLS.items() if asked in prompt)
        return next(found, None) or _said(prompt)

    def _rejected(self) -> bool:
        self._rejects -= 1
        return self._rejects >= 0


def _said(prompt: str) -> str:
    """An answer, from whose first word it can be told what was asked."""
    what = f"{zlib.crc32(prompt.encode()):08x}"
    return f"{what}: the tower on Gull Rock is thirty-eight metres high, people say."


def tokens(answer: str) -> tuple[str, ...]:
    """A text, token by token."""
    return tuple(re.findall(r"\s*\S+", answer))


class ScriptedLLM(FakeStreamingLLM):
    """A fake LLM that any of the engines gets on with.

    Args:
        rejects: as for `Script`.
        pace: as for `Script`.
        held: as for `Script`.
        **options: as for `FakeStreamingLLM`.
    """

    _script: Script = PrivateAttr()

    def __init__(
        self, *, rejects: int = 0, pace: float = 0.0, held: str | None = None, **options: Any
    ) -> None:
        script = Script(rejects, pace, held)
        super().__init__(script, **options)
        self._script = script

    @property
    def streamed(self) -> int:
        """How many calls were streamed."""
        return sum(taken.request.stream for taken in self._script.taken)

    @property
    def said(self) -> list[str]:
        """The text of every call; that of a tool call is empty."""
        return [taken.text for taken in self._script.taken]

    @property
    def produced(self) -> int:
        """How many tokens all its calls have handed out so far."""
        pairs = zip(self.calls, self._script.taken, strict=False)
        return sum(taken.produced(call.chunks) for call, taken in pairs)
