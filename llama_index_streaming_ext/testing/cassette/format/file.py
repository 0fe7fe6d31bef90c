"""The file: JSON Lines, appended line by line, and read back.

    {"format": "llama_index_streaming_ext.cassette", "version": 1}
    {"call": "1", "llm": {...}, "request": {"face": "chat", "stream": true, "messages": [...]}}
    {"call": "1", "at": 0.412, "chunk": {"delta": "It", ...}}
    {"call": "1", "at": 0.455, "chunk": {"delta": " is", ...}}
    {"call": "1", "at": 0.461, "end": "finished"}

`at` is in seconds since the request. The lines of calls that ran at once are mixed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from llama_index_streaming_ext.testing.cassette.errors import CassetteMissing, CassetteUnreadable
from llama_index_streaming_ext.testing.cassette.format.cumulative import grown
from llama_index_streaming_ext.testing.cassette.format.values import Answer, answer_of

FORMAT = "llama_index_streaming_ext.cassette"
VERSION = 1
CUMULATIVE = ("message", "text")
"""The parts of a chunk that are written as their difference to the chunk before."""


@dataclass(repr=False)
class RecordedCall:
    """One recorded call."""

    call: str
    """Its number; those of other processes have a prefix."""
    request: dict[str, Any]
    """The request, as it was written."""
    llm: dict[str, Any]
    """The LLM that was called: `class_name`, `metadata` and settings."""
    chunks: list[tuple[float, dict[str, Any]]] = field(
        default_factory=list[tuple[float, dict[str, Any]]]
    )
    """The chunks: seconds since the request, and the chunk as it was written."""
    end: dict[str, Any] | None = None
    """The end of the call; None if the recording just stops."""

    @property
    def complete(self) -> bool:
        """True if the recording holds the whole answer."""
        return self.end is not None and self.end.get("end") in ("finished", "error")

    @property
    def failed_at_call(self) -> bool:
        """True if the call itself failed, before there was a stream to read."""
        return self.end is not None and bool(self.end.get("at_call"))

    def __repr__(self) -> str:
        blocks = [b for m in self.request.get("messages", ()) for b in m.get("blocks", ())]
        texts = [block["text"] for block in blocks if "text" in block]
        asked = self.request.get("prompt", texts[-1] if texts else "")
        how = (self.end or {}).get("end", "unfinished")
        return f"<RecordedCall {self.call} {asked!r}: {len(self.chunks)} chunks, {how}>"

    def answers(self) -> Iterator[tuple[float, Answer]]:
        """The chunks, each with its seconds since the request."""
        before: dict[str, Any] = {}
        for at, stored in self.chunks:
            whole = {name: grown(stored[name], before.get(name)) for name in _parts(stored)}
            before = whole
            yield at, answer_of({**stored, **whole})


def _parts(stored: dict[str, Any]) -> Iterator[str]:
    return (name for name in CUMULATIVE if name in stored)


class Writer:
    """Appends lines to a cassette. Any thread may; each line is whole, and written at once.

    Args:
        path: the file. It is opened for each line: nothing is lost in a crash, or left open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def create(self) -> None:
        """Begin a new file, in place of what was there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(_line({"format": FORMAT, "version": VERSION}))

    def mend(self) -> None:
        """Take away a last line that is cut off, so that further ones can be appended."""
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            self.path.write_bytes(whole)

    def append(self, lines: Iterable[Any]) -> None:
        """Append lines.

        Args:
            lines: JSON values.
        """
        data = b"".join(map(_line, lines))
        if data:
            with self._lock, self.path.open("ab", buffering=0) as file:
                file.write(data)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)


def _line(value: Any) -> bytes:
    # Lone surrogates can only be written escaped, and U+2028 and the like would look like lines.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


@dataclass
class Contents:
    """The content of a cassette."""

    recordings: list[RecordedCall]
    """The calls, in the order in which they were made."""
    cut_off: int | None
    """The number of the last line, if it is not whole."""


def read(path: Path) -> Contents:
    """Read a cassette.

    Args:
        path: the file.

    Raises:
        CassetteMissing: there is none.
        CassetteUnreadable: it is not a cassette, or of another version.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CassetteMissing(path) from None
    lines = data.split(b"\n")
    unfinished = lines.pop()
    values = list(_values(path, lines))
    cut_off = None
    if unfinished:
        # Written by hand, the last line may have no newline.
        last = _value(unfinished)
        cut_off = len(lines) + 1 if last is None else None
        values += [] if last is None else [(len(lines) + 1, last)]
    _check_header(path, values)
    return Contents(_recordings(path, values[1:]), cut_off)


def _values(path: Path, lines: list[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        value = _value(line)
        if value is None:
            raise CassetteUnreadable(path, "it is not a JSON object.", line=number)
        yield number, value


def _value(line: bytes) -> dict[str, Any] | None:
    try:
        value: object = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _check_header(path: Path, values: list[tuple[int, dict[str, Any]]]) -> None:
    if not values:
        raise CassetteUnreadable(path, "it is empty. Record it again with record_llm(llm, path).")
    header = values[0][1]
    if header.get("format") != FORMAT:
        raise CassetteUnreadable(
            path, f'a cassette begins with {{"format": "{FORMAT}", "version": {VERSION}}}.', line=1
        )
    if header.get("version") != VERSION:
        raise CassetteUnreadable.version(path, header.get("version"), VERSION)


def _recordings(path: Path, values: list[tuple[int, dict[str, Any]]]) -> list[RecordedCall]:
    found: dict[str, RecordedCall] = {}
    for number, value in values:
        call = str(value.get("call"))
        try:
            if "request" in value:
                found[call] = RecordedCall(call, value["request"], value.get("llm", {}))
            elif "chunk" in value:
                found[call].chunks.append((float(value["at"]), value["chunk"]))
            else:
                found[call].end = {**value, "end": value["end"], "at": float(value["at"])}
        except (KeyError, TypeError, ValueError) as error:
            reason = f"it is neither a request nor a chunk or an end of one ({error!r})."
            raise CassetteUnreadable(path, reason, line=number) from error
    return list(found.values())
