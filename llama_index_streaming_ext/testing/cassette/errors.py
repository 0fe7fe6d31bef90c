"""Errors of cassettes.

StreamingError
├── CassetteMissing     there is no cassette to replay (also a FileNotFoundError)
├── CassetteUnreadable  a file is no cassette, or of another version (also a ValueError)
├── CassetteMismatch    a call that the cassette has no recording of, with a diff
├── CassetteEnded       a recording was not finished, and its reader wants more
├── LiveKeyFound        a live API key would have been written, so nothing was (also a ValueError)
└── ReplayedError       a recorded error whose own type cannot be made here
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from llama_index_streaming_ext.errors import StreamingError


class _CassetteError(StreamingError):
    """Copies by its fields: what it is made of is not what its constructor takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, vars(self))


def _rebuilt(
    cls: type[_CassetteError], args: tuple[Any, ...], fields: dict[str, Any]
) -> _CassetteError:
    error = cls.__new__(cls)
    error.args = args
    vars(error).update(fields)
    return error


class CassetteMissing(_CassetteError, FileNotFoundError):
    """There is no cassette to replay.

    Attributes:
        path: where it was looked for.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"There is no cassette at '{path}': record one with record_llm(llm, path), or with "
            "Cassette(path, record='new').wrap(llm)."
        )
        self.path = path


class CassetteUnreadable(_CassetteError, ValueError):
    """A file cannot be read as a cassette.

    Attributes:
        path: the file.
        line: the number of the line, from 1, or None where it is about the whole file.
    """

    def __init__(self, path: Path, reason: str, *, line: int | None = None) -> None:
        where = f"'{path}'" if line is None else f"line {line} of '{path}'"
        super().__init__(f"Cassette {where} cannot be read: {reason}")
        self.path = path
        self.line = line

    @classmethod
    def version(cls, path: Path, found: object, known: int) -> Self:
        """The error for a format version that is not ours."""
        newer = isinstance(found, int) and found > known
        what = "pip install -U llama-index-streaming-ext, or" if newer else "To go on,"
        return cls(
            path,
            f"it has format version {found!r}, and this package reads version {known}. "
            f"{what} record it again with record_llm(llm, path).",
            line=1,
        )


class CassetteMismatch(_CassetteError):
    """An LLM was called with a request that its cassette has no recording of, or none left.

    Attributes:
        diff: the nearest recorded request against this one, as a unified diff; empty where they
            are equal and all recordings of it were used.
        left: how many recorded calls were not asked for yet.
    """

    def __init__(self, path: Path, *, diff: str, seen: int, left: int, note: str = "") -> None:
        super().__init__(_mismatch(path, diff, seen, left, note))
        self.path = path
        self.diff = diff
        self.left = left


def _mismatch(path: Path, diff: str, seen: int, left: int, note: str) -> str:
    if seen:
        what = f"was recorded {_times(seen)}, and is asked once more."
    elif diff:
        what = f"was not recorded. The nearest recording (-) and this call (+):\n{diff}"
    else:
        what = "was not recorded: the cassette has no calls."
    return (
        f"This call {what}\n"
        f"Recorded calls not asked for yet: {left}. {note}\n"
        f"Record '{path}' again with record_llm(llm, path), or add what is new to it with "
        "Cassette(path, record='new').wrap(llm)."
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


class CassetteEnded(_CassetteError):
    """The recording of a call ends before the answer did, and its reader wants more.

    Attributes:
        chunks: how many chunks were recorded.
        how: how the recording ended: "closed", "cancelled", "refused" or "unfinished".
    """

    def __init__(self, path: Path, call: str, *, chunks: int, how: str, note: str = "") -> None:
        super().__init__(
            f"The recording of call {call} in '{path}' ends after {chunks} "
            f"chunk{'' if chunks == 1 else 's'}: {_HOW[how]}. {note}"
            "Read no further than that, or record it again with record_llm(llm, path)."
        )
        self.path = path
        self.chunks = chunks
        self.how = how


_HOW = {
    "closed": "its reader closed the stream there",
    "cancelled": "its reader was cancelled there",
    "refused": "a live API key would have been written next",
    "unfinished": "the process that recorded it stopped there, or is still recording",
}


class LiveKeyFound(_CassetteError, ValueError):
    """A live API key would have been written to a cassette. It was not.

    Attributes:
        source: where the key is from, such as "$OPENAI_API_KEY". The key itself is not kept.
        where: the part of the recording it stood in.
    """

    def __init__(self, path: Path, source: str, where: str) -> None:
        super().__init__(
            f"The live key from {source} stands in {where}: it was not written to '{path}'. Take "
            "the key out of what is sent to the LLM. If it has been in a prompt, revoke it."
        )
        self.path = path
        self.source = source
        self.where = where


class ReplayedError(_CassetteError):
    """An error was recorded whose own type cannot be made here.

    Attributes:
        type_name: the full name of its type.
    """

    def __init__(self, message: str, type_name: str) -> None:
        super().__init__(message)
        self.type_name = type_name
