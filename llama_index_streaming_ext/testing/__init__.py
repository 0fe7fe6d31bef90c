"""Fakes of LLMs, to test streaming offline.

Write what the LLM is to answer as a script, and hand it to a fake:

    llm = FakeStreamingLLM([
        Turn(text("Let me", " check."), tool_call("weather", city="Paris")),
        Turn(text("It is", " sunny.")),
    ])

The names are imported when they are used, so that none needs more than it must.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index_streaming_ext.testing.cassette import (
        Cassette,
        CassetteEnded,
        CassetteMismatch,
        CassetteMissing,
        CassetteUnreadable,
        LiveKeyFound,
        RecordedCall,
        ReplayedError,
        ReplayLLM,
        record_llm,
        replay_llm,
    )
    from llama_index_streaming_ext.testing.checks import LawReport, check_recording, check_stream
    from llama_index_streaming_ext.testing.checks.laws import StreamLawBroken
    from llama_index_streaming_ext.testing.clock import (
        ClockHeld,
        ConnectedOnVirtualTime,
        VirtualClock,
    )
    from llama_index_streaming_ext.testing.contracts import ContractBroken
    from llama_index_streaming_ext.testing.contracts.encoder import Encoder, check_encoder
    from llama_index_streaming_ext.testing.contracts.log import check_event_log
    from llama_index_streaming_ext.testing.errors import NotServed, ProviderError, UnexpectedLLMCall
    from llama_index_streaming_ext.testing.fake_llm import FakeStreamingLLM
    from llama_index_streaming_ext.testing.fake_llm.playback import Playback
    from llama_index_streaming_ext.testing.fake_openai import FakeOpenAI
    from llama_index_streaming_ext.testing.fake_openai.received import ReceivedRequest
    from llama_index_streaming_ext.testing.history import (
        HistoryBroken,
        HistoryProblem,
        check_history,
        history_problems,
    )
    from llama_index_streaming_ext.testing.network import NetworkBlocked, no_network
    from llama_index_streaming_ext.testing.recording import Recording
    from llama_index_streaming_ext.testing.recording.recorder import record, record_sync
    from llama_index_streaming_ext.testing.script.framing import Envelope, Framing
    from llama_index_streaming_ext.testing.script.request import Request
    from llama_index_streaming_ext.testing.script.turns import (
        Turn,
        comment,
        disconnect,
        fail,
        finish,
        gate,
        http,
        malformed,
        parallel,
        refusal,
        text,
        thinking,
        tool_call,
        truncated,
        usage,
        wait,
    )
    from llama_index_streaming_ext.testing.strategies import (
        CancelPoint,
        byte_splits,
        cancel_points,
        chunkings,
        scripts,
    )

_MODULES = {
    "cassette": "Cassette CassetteEnded CassetteMismatch CassetteMissing CassetteUnreadable "
    "LiveKeyFound RecordedCall ReplayLLM ReplayedError record_llm replay_llm",
    "checks": "LawReport check_recording check_stream",
    "clock": "ClockHeld ConnectedOnVirtualTime VirtualClock",
    "contracts": "ContractBroken",
    "contracts.encoder": "Encoder check_encoder",
    "errors": "NotServed ProviderError UnexpectedLLMCall",
    "fake_llm": "FakeStreamingLLM",
    "fake_openai": "FakeOpenAI",
    "script.framing": "Envelope Framing",
    "checks.laws": "StreamLawBroken",
    "contracts.log": "check_event_log",
    "history": "HistoryBroken HistoryProblem check_history history_problems",
    "network": "NetworkBlocked no_network",
    "fake_llm.playback": "Playback",
    "fake_openai.received": "ReceivedRequest",
    "recording.recorder": "record record_sync",
    "recording": "Recording",
    "script.request": "Request",
    "script.turns": "Turn comment disconnect fail finish gate http malformed parallel refusal text "
    "thinking tool_call truncated usage wait",
    "strategies": "CancelPoint byte_splits cancel_points chunkings scripts",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "CancelPoint",
    "Cassette",
    "CassetteEnded",
    "CassetteMismatch",
    "CassetteMissing",
    "CassetteUnreadable",
    "ClockHeld",
    "ConnectedOnVirtualTime",
    "ContractBroken",
    "Encoder",
    "Envelope",
    "FakeOpenAI",
    "FakeStreamingLLM",
    "Framing",
    "HistoryBroken",
    "HistoryProblem",
    "LawReport",
    "LiveKeyFound",
    "NetworkBlocked",
    "NotServed",
    "Playback",
    "ProviderError",
    "ReceivedRequest",
    "RecordedCall",
    "Recording",
    "ReplayLLM",
    "ReplayedError",
    "Request",
    "StreamLawBroken",
    "Turn",
    "UnexpectedLLMCall",
    "VirtualClock",
    "byte_splits",
    "cancel_points",
    "check_encoder",
    "check_event_log",
    "check_history",
    "check_recording",
    "check_stream",
    "chunkings",
    "comment",
    "disconnect",
    "fail",
    "finish",
    "gate",
    "history_problems",
    "http",
    "malformed",
    "no_network",
    "parallel",
    "record",
    "record_llm",
    "record_sync",
    "refusal",
    "replay_llm",
    "scripts",
    "text",
    "thinking",
    "tool_call",
    "truncated",
    "usage",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
