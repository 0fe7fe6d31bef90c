"""Recordings: the calls of a real LLM, written down once and replayed offline.

    llm = record_llm(OpenAI(model="gpt-4o-mini"), "weather.jsonl")   # once, with a key
    llm = replay_llm("weather.jsonl", speed=0)                       # in tests, without

A cassette holds what the LLM's class yielded, chunk by chunk: deltas, blocks, tool calls, `raw`,
errors, and when each came. `Cassette` does both: it replays what it has and records what is new.
How requests are compared says `match`; what is written, and how keys are kept out, say `fields`,
`secrets` and `seams`.
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
from llama_index_streaming_ext.testing.cassette.file import RecordedCall
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
