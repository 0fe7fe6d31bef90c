"""Cassettes: the calls of a real LLM, recorded once and replayed offline.

    llm = record_llm(OpenAI(model="gpt-4o-mini"), "weather.jsonl")   # once, with a key
    llm = replay_llm("weather.jsonl", speed=0)                       # in tests, without

A cassette holds the chunks that the LLM's class yielded: deltas, blocks, tool calls, `raw`, errors,
and the time of each. `Cassette` does both: it replays the calls that it has and records new ones.
`match` compares requests; `format` says what is written and keeps keys out.
"""

from __future__ import annotations

from llama_index_streaming_ext.testing.cassette.errors import (
    CassetteEnded,
    CassetteMismatch,
    CassetteMissing,
    CassetteUnreadable,
    LiveKeyFound,
    ReplayedError,
)
from llama_index_streaming_ext.testing.cassette.format.file import RecordedCall
from llama_index_streaming_ext.testing.cassette.replay_llm import ReplayLLM
from llama_index_streaming_ext.testing.cassette.tape import Cassette, record_llm, replay_llm

__all__ = [
    "Cassette",
    "CassetteEnded",
    "CassetteMismatch",
    "CassetteMissing",
    "CassetteUnreadable",
    "LiveKeyFound",
    "RecordedCall",
    "ReplayLLM",
    "ReplayedError",
    "record_llm",
    "replay_llm",
]
