"""Giving the recorded answers again."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

from llama_index_streaming_ext.testing.cassette.asked import Asked
from llama_index_streaming_ext.testing.cassette.errors import CassetteEnded, CassetteMismatch
from llama_index_streaming_ext.testing.cassette.format.failures import error_of
from llama_index_streaming_ext.testing.cassette.format.file import Contents, RecordedCall
from llama_index_streaming_ext.testing.cassette.format.seams import Seams
from llama_index_streaming_ext.testing.cassette.format.secrets import LiveKeys
from llama_index_streaming_ext.testing.cassette.format.values import Answer
from llama_index_streaming_ext.testing.cassette.match import key, nearest, normal
from llama_index_streaming_ext.testing.cassette.timing import Schedule
from llama_index_streaming_ext.testing.fake_llm.calls import Call


class Shelf:
    """The recordings, and which of them were asked for. Calls may come from any thread.

    Args:
        path: the cassette, for errors.
        contents: what is in it.
        complete_only: whether recordings that were not finished are passed over.
    """

    def __init__(self, path: Path, contents: Contents, *, complete_only: bool = False) -> None:
        self.path = path
        self.mismatches: list[CassetteMismatch] = []
        self._cut_off = contents.cut_off
        self._recordings = [r for r in contents.recordings if r.complete or not complete_only]
        self._used: set[str] = set()
        self._lock = threading.Lock()
        self._equal: dict[str, list[RecordedCall]] = defaultdict(list)
        for recording in self._recordings:
            for model in {None, _model(recording)}:
                self._equal[key(normal(recording.request, model))].append(recording)

    @property
    def first(self) -> RecordedCall | None:
        """The first recording."""
        return next(iter(self._recordings), None)

    @property
    def left(self) -> list[RecordedCall]:
        """The recordings that were not asked for yet."""
        return [r for r in self._recordings if r.call not in self._used]

    @property
    def note(self) -> str:
        """The problem of the file, for errors."""
        if self._cut_off is None:
            return ""
        return f"Its last line, {self._cut_off}, is cut off: something may be missing. "

    def take(self, asked: Asked, model: str | None) -> RecordedCall:
        """Take the recording that answers a call.

        Args:
            asked: the call.
            model: the model that is asked, None if it does not matter.

        Raises:
            CassetteMismatch: there is none, or none left.
        """
        request = self._normal(asked, model)
        with self._lock:
            found = self._find(request)
            if found is None:
                raise self._mismatch(request, model)
            self._used.add(found.call)
            return found

    def peek(self, asked: Asked, model: str | None) -> RecordedCall | None:
        """The recording that would answer a call, None if there is none."""
        with self._lock:
            return self._find(self._normal(asked, model))

    def similar(self, asked: Asked) -> RecordedCall | None:
        """The next recording with the messages of a call, whatever else was asked for."""
        wanted = normal(asked.json).get("messages")
        same = (r for r in self.left if normal(r.request).get("messages") == wanted)
        return next((r for r in same if r.request.get("stream") == asked.stream), None)

    def _normal(self, asked: Asked, model: str | None) -> dict[str, Any]:
        # What was scrubbed in the recording is compared as scrubbed.
        clean = Seams(LiveKeys(self.path, {}))
        request = (clean.feed(asked.json, "") + clean.flush())[0]
        return normal(request, model)

    def _find(self, request: dict[str, Any]) -> RecordedCall | None:
        equal = self._equal.get(key(request), ())
        return next((r for r in equal if r.call not in self._used), None)

    def _mismatch(self, request: dict[str, Any], model: str | None) -> CassetteMismatch:
        equal = self._equal.get(key(request), ())
        others = [] if equal else [_as_compared(r, model) for r in self.left or self._recordings]
        error = CassetteMismatch(
            self.path,
            diff=nearest(request, others),
            seen=len(equal),
            left=len(self.left),
            note=self.note,
        )
        self.mismatches.append(error)
        return error

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {**vars(self), "_used": set(self._used), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())


def _as_compared(recording: RecordedCall, model: str | None) -> dict[str, Any]:
    return normal(recording.request, _model(recording) if model else None)


def _model(recording: RecordedCall) -> str | None:
    return recording.llm.get("metadata", {}).get("model_name")


class Replayer:
    """Plays recordings, chunk by chunk.

    Args:
        shelf: the recordings.
        speed: 2.0 is twice as fast as recorded; 0 and infinity: without waiting.
    """

    def __init__(self, shelf: Shelf, speed: float) -> None:
        self._shelf = shelf
        self._speed = speed

    def whole(self, asked: Asked, model: str | None, call: Call) -> Answer:
        """Answer a call that is not streamed."""
        with call.open():
            recording, schedule = self._begin(asked, model)
            for at, answer in recording.answers():
                schedule.wait(at)
                call.produced()
                return answer
            schedule.wait(_ended(recording))
            raise self._failure(recording)

    async def awhole(self, asked: Asked, model: str | None, call: Call) -> Answer:
        """Answer an async call that is not streamed."""
        with call.open():
            recording, schedule = self._begin(asked, model)
            for at, answer in recording.answers():
                await schedule.await_(at)
                call.produced()
                return answer
            await schedule.await_(_ended(recording))
            raise self._failure(recording)

    def stream(self, asked: Asked, model: str | None, call: Call) -> Generator[Answer]:
        """Answer a call, chunk by chunk; an error of the call itself is raised here."""
        if self._fails_at_call(asked, model):
            self.whole(asked, model, call)

        def gen() -> Generator[Answer]:
            with call.open():
                recording, schedule = self._begin(asked, model)
                for at, answer in recording.answers():
                    schedule.wait(at)
                    call.produced()
                    yield answer
                schedule.wait(_ended(recording))
                self._finish(recording)

        return gen()

    async def astream(self, asked: Asked, model: str | None, call: Call) -> AsyncGenerator[Answer]:
        """Answer an async call, chunk by chunk."""
        if self._fails_at_call(asked, model):
            await self.awhole(asked, model, call)

        async def gen() -> AsyncGenerator[Answer]:
            with call.open():
                recording, schedule = self._begin(asked, model)
                for at, answer in recording.answers():
                    await schedule.await_(at)
                    call.produced()
                    yield answer
                await schedule.await_(_ended(recording))
                self._finish(recording)

        return gen()

    def _begin(self, asked: Asked, model: str | None) -> tuple[RecordedCall, Schedule]:
        return self._shelf.take(asked, model), Schedule(self._speed)

    def _fails_at_call(self, asked: Asked, model: str | None) -> bool:
        found = self._shelf.peek(asked, model)
        return found is not None and found.failed_at_call

    def _finish(self, recording: RecordedCall) -> None:
        if recording.end is None or recording.end["end"] != "finished":
            raise self._failure(recording)

    def _failure(self, recording: RecordedCall) -> Exception:
        end = recording.end or {"end": "unfinished"}
        if end["end"] == "error":
            error = error_of(end.get("error", {}))
            error.add_note(
                f"Replayed: call {recording.call} of '{self._shelf.path}' ended like this when it "
                "was recorded. If it should not have, record it anew (--llm-record=all)."
            )
            return error
        how = end["end"] if end["end"] in ("closed", "cancelled", "refused") else "unfinished"
        chunks = len(recording.chunks)
        note = self._shelf.note
        return CassetteEnded(self._shelf.path, recording.call, chunks=chunks, how=how, note=note)


def _ended(recording: RecordedCall) -> float:
    return recording.end["at"] if recording.end else 0.0
