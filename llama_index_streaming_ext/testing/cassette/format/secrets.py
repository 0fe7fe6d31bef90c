"""The strings that are secret: text that looks like a key, and the live keys of this process."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from llama_index.core.base.llms.base import BaseLLM
from pydantic import SecretStr

from llama_index_streaming_ext.testing.cassette.errors import LiveKeyFound
from llama_index_streaming_ext.testing.cassette.format.fields import SCRUBBED

_SHAPES: tuple[tuple[str, str, int], ...] = (
    # what it begins with, which characters follow, and at least how many
    ("sk-", r"[A-Za-z0-9_-]", 6),
    ("Bearer ", r"[A-Za-z0-9._~+/=-]", 6),
    ("bearer ", r"[A-Za-z0-9._~+/=-]", 6),
    ("gsk_", r"[A-Za-z0-9]", 16),
    ("xai-", r"[A-Za-z0-9]", 16),
    ("pplx-", r"[A-Za-z0-9]", 16),
    ("hf_", r"[A-Za-z0-9]", 16),
    ("ghp_", r"[A-Za-z0-9]", 16),
    ("github_pat_", r"[A-Za-z0-9_]", 16),
    ("AIza", r"[A-Za-z0-9_-]", 20),
    ("AKIA", r"[A-Z0-9]", 16),
    ("xoxb-", r"[A-Za-z0-9-]", 16),
)
# At the beginning of a word; in JSON within a string, that may be right behind `\n`.
_BEGIN = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))"
_LOOKS_SECRET = re.compile(
    _BEGIN + "(?:" + "|".join(f"{re.escape(a)}{c}{{{n},}}" for a, c, n in _SHAPES) + ")"
)

# How variables of the environment are named that hold what may not get into a file.
_NAMED_LIKE_SECRETS = (
    "API_KEY",
    "ACCESS_KEY",
    "SECRET_KEY",
    "AUTH_TOKEN",
    "ACCESS_TOKEN",
    "AD_TOKEN",
    "HF_TOKEN",
    "_SECRET",
    "_PASSWORD",
)


def _begun(literal: str, characters: str) -> str:
    parts = [re.escape(literal[:n]) for n in range(1, len(literal))]
    return "|".join([*parts, f"{re.escape(literal)}{characters}*"])


_MAY_GO_ON = re.compile(_BEGIN + "(?:" + "|".join(_begun(a, c) for a, c, _ in _SHAPES) + r")\Z")
CONTEXT = 3
"""The number of characters before a string that can make it a secret."""
_SHORTEST = 8


def spans(text: str, start: int = 0) -> list[tuple[int, int]]:
    """Return the begin and end of each secret in a text that begins at `start` or later."""
    return [match.span() for match in _LOOKS_SECRET.finditer(text, start)]


def scrub(text: str) -> str:
    """A text without what looks like a key."""
    return _LOOKS_SECRET.sub(SCRUBBED, text)


def may_go_on(text: str, start: int = 0) -> bool:
    """Return True if a text ends in a possible secret that begins at `start` or later."""
    return _MAY_GO_ON.search(text, start) is not None


class LiveKeys:
    """The keys that must not be written, in every form in which they could be.

    Args:
        path: the cassette, for the error.
        keys: each key, and where it is from.
    """

    def __init__(self, path: Path, keys: Mapping[str, str]) -> None:
        self._path = path
        self._forms = {form: name for key, name in keys.items() for form in _forms(key)}
        self._any = re.compile("|".join(map(re.escape, self._forms))) if self._forms else None

    @classmethod
    def of(cls, path: Path, llm: Any, given: Iterable[str] = ()) -> LiveKeys:
        """Collects the keys of an LLM, of the environment and those that were given.

        Args:
            path: the cassette, for the error.
            llm: the LLM, or None.
            given: further keys.
        """
        found = [*_of_environment(), *_of_llm(llm), *((key, "live_key=") for key in given)]
        keys = tuple((key, name) for key, name in found if len(key) >= _SHORTEST)
        return _cached(path, keys)

    def check(self, text: str, where: str) -> None:
        """Refuse a text that has a live key in it.

        Args:
            text: what is to be written.
            where: what it is a part of.

        Raises:
            LiveKeyFound: it has.
        """
        found = self._any.search(text) if self._any else None
        if found:
            raise LiveKeyFound(self._path, self._forms[found.group()], where)

    def may_go_on(self, text: str) -> bool:
        """Return True if a text ends in a possible beginning of a live key."""
        return any(_ends_in_part(text, form) for form in self._forms)


@functools.lru_cache(maxsize=16)
def _cached(path: Path, keys: tuple[tuple[str, str], ...]) -> LiveKeys:
    return LiveKeys(path, dict(keys))


def _of_environment() -> Iterator[tuple[str, str]]:
    for name, value in os.environ.items():
        if name.upper().endswith(_NAMED_LIKE_SECRETS):
            yield value, f"${name}"


# Not every token is one: models have an `eos_token`.
_KEY_FIELD = re.compile(
    r"(?i)(key|secret|password|^token|(access|api|auth|hf|security|session)_?token)$"
)
_KEY_HEADER = re.compile(r"(?i)auth|key|token|secret|cookie")


def _of_llm(llm: object) -> Iterator[tuple[str, str]]:
    if llm is None:
        return
    cls = type(llm).__name__
    fields: dict[str, Any] = vars(llm)
    for name, value in fields.items():
        shown = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(shown, str) and _KEY_FIELD.search(name):
            yield shown, f"{name} of {cls}"
        elif isinstance(value, BaseLLM):
            # One LLM may be made of another, as structured ones are.
            yield from _of_llm(value)
    headers: Mapping[str, Any] = fields.get("default_headers") or {}
    for name, value in headers.items():
        if _KEY_HEADER.search(name):
            yield str(value).rpartition(" ")[2], f"default_headers of {cls}"


def _forms(key: str) -> set[str]:
    """A key as it is, and as it is in JSON, in JSON within JSON, in a URL, in base64 and in hex."""
    escaped = {json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1]}
    escaped |= {form.replace("/", "\\/") for form in escaped}
    escaped |= {json.dumps(form)[1:-1] for form in escaped}
    data = key.encode(errors="surrogatepass")
    coded = {form for shift in range(3) for form in _base64(data, shift)}
    return {key, *escaped, quote(key, safe=""), data.hex(), data.hex().upper(), *coded}


def _base64(data: bytes, shift: int) -> tuple[str, str]:
    """The part of the base64 of `shift` other bytes and the key that only the key decides."""
    coded = base64.b64encode(bytes(shift) + data).decode()
    end = (shift + len(data)) % 3
    mine = coded[(0, 2, 3)[shift] : len(coded) - (0, 3, 2)[end]]
    return mine, mine.replace("+", "-").replace("/", "_")


def _ends_in_part(text: str, form: str) -> bool:
    # Shorter parts are no beginning worth waiting for: CONTEXT keeps them in sight.
    head = form[: CONTEXT + 1]
    at = text.find(head, max(0, len(text) - len(form) + 1))
    while at >= 0:
        if form.startswith(text[at:]):
            return True
        at = text.find(head, at + 1)
    return False
