"""Contract suites: check an event log or an encoder of your own, rule by rule."""

from __future__ import annotations

from llama_index_streaming_ext.testing.contracts.rules import (
    ContractBroken,
    Rule,
    Unkept,
    check_rules,
    expect,
)

__all__ = [
    "ContractBroken",
    "Rule",
    "Unkept",
    "check_rules",
    "expect",
]
