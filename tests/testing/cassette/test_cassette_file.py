"""The file of a cassette: its version, and what is said of a broken one."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from llama_index.core.llms import ChatMessage

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text
from llama_index_streaming_ext.testing.cassette import (
    Cassette,
    CassetteEnded,
    CassetteMismatch,
    CassetteUnreadable,
    record_llm,
    replay_llm,
)

ASK = [ChatMessage("Hi")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A cassette of one streamed call."""
    path = tmp_path / "deep" / "calls.jsonl"
    list(record_llm(FakeStreamingLLM([Turn(text("a", "b"))]), path).stream_chat(ASK))
    return path


def test_the_first_line_is_a_header(path: Path) -> None:
    """It has the name of the format, and its version."""
    header = json.loads(path.read_text().splitlines()[0])
    assert header == {"format": "llama_index_streaming_ext.cassette", "version": 1}


def test_requests_chunks_and_ends_are_lines(path: Path) -> None:
    """The request comes first, then each chunk with its offset, then the end."""
    said = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    kinds = [next(k for k in ("request", "chunk", "end") if k in line) for line in said]
    assert kinds == ["request", "chunk", "chunk", "chunk", "chunk", "end"]
    offsets = [line["at"] for line in said if "at" in line]
    assert offsets == sorted(offsets)


def test_every_line_is_there_before_the_chunk_is_read(path: Path) -> None:
    """A crash loses nothing that the reader has seen."""
    stream = record_llm(FakeStreamingLLM([Turn(text("a", "b"))]), path).stream_chat(ASK)
    for count in (1, 2, 3):
        next(stream)
        assert len(path.read_text().splitlines()) == 2 + count
    stream.close()


@pytest.mark.parametrize(
    ("version", "advice"),
    [(2, "pip install -U llama-index-streaming-ext, or record it again"), (0, "record it again")],
)
def test_unknown_versions_say_what_to_do(path: Path, version: int, advice: str) -> None:
    """A newer one can be read by a newer package; any can be recorded again."""
    path.write_text(path.read_text().replace('"version":1', f'"version":{version}'))
    with pytest.raises(CassetteUnreadable, match=f"format version {version}.*{advice}"):
        replay_llm(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is empty"),
        ('{"role": "user"}\n', "a cassette begins with"),
        ("hello\n", "not a JSON object"),
        ("[1]\n", "not a JSON object"),
    ],
)
def test_other_files_are_refused(path: Path, content: str, reason: str) -> None:
    """A file that is no cassette is told what one begins with."""
    path.write_text(content)
    with pytest.raises(CassetteUnreadable, match=reason):
        replay_llm(path)


def test_a_broken_line_is_named(path: Path) -> None:
    """A line in the middle that is no JSON is told by its number."""
    written = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*written[:2], "oops\n", *written[2:]]))
    with pytest.raises(CassetteUnreadable, match="line 3 of") as error:
        replay_llm(path)
    assert pickle.loads(pickle.dumps(error.value)).line == 3


def test_a_line_of_an_unknown_call_is_named(path: Path) -> None:
    """A chunk without a request is told by its number."""
    written = path.read_text().splitlines(keepends=True)
    path.write_text("".join([written[0], *written[2:]]))
    with pytest.raises(CassetteUnreadable, match="line 2 of"):
        replay_llm(path)


def test_a_cut_off_chunk_is_told(path: Path) -> None:
    """What is whole before it is replayed; then the reader is told of the line."""
    path.write_bytes(path.read_bytes().split(b'{"call":"1"')[0] + cut_after(path, lines=3))
    stream = replay_llm(path, speed=0).stream_chat(ASK)
    assert next(stream).delta == ""
    with pytest.raises(CassetteEnded, match="Its last line, 4, is cut off"):
        next(stream)


def test_a_cut_off_request_is_told(path: Path) -> None:
    """A call that is not found is told that a line is missing."""
    path.write_bytes(path.read_bytes().split(b'{"call":"1"')[0] + cut_after(path, lines=1))
    with pytest.raises(CassetteMismatch, match="Its last line, 2, is cut off"):
        list(replay_llm(path, speed=0).stream_chat(ASK))


def cut_after(path: Path, lines: int) -> bytes:
    """The lines after the header, the last of them cut off."""
    rest = path.read_bytes().splitlines(keepends=True)[1:]
    return b"".join(rest[:lines])[:-20]


def test_a_cut_off_line_is_mended_when_recording_goes_on(path: Path) -> None:
    """What is unfinished is recorded again, behind whole lines."""
    path.write_bytes(path.read_bytes()[:-20])
    llm = Cassette(path, record="new", speed=0).wrap(FakeStreamingLLM([Turn(text("c"))]))
    assert "".join(chunk.delta or "" for chunk in llm.stream_chat(ASK)) == "c"
    assert len(Cassette(path).left) == 2


def test_a_last_line_without_newline_is_whole(path: Path) -> None:
    """Editors take it away."""
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    got = replay_llm(path, speed=0).stream_chat(ASK)
    assert "".join(chunk.delta or "" for chunk in got) == "ab"


def test_types_of_other_modules_are_not_imported(path: Path) -> None:
    """A cassette is data: it cannot name a class that is then made."""
    bad = '"raw":{"$type":"subprocess.Popen","args":["true"]}'
    written = path.read_text().splitlines(keepends=True)
    chunk = f'{{"call":"1","at":0,"chunk":{{"delta":"a","message":{{"role":"user"}},{bad}}}}}\n'
    path.write_text("".join([*written[:2], chunk, written[-1]]))
    (got,) = replay_llm(path, speed=0).stream_chat(ASK)
    assert got.raw == {"args": ["true"]}
