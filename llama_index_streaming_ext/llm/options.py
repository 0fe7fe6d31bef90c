"""The options of a `StreamingLLM`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from llama_index_streaming_ext.llm.observer import CallObserver, OnIncomplete


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a `StreamingLLM`.

    Attributes:
        on_incomplete: what to do about an answer that is not whole: `"raise"`, or `"event"`, which
            writes an `Incomplete` into the stream of the run.
        strict: raise NotImplementedError where the LLM cannot stream, as upstream does, instead of
            giving its answer in one chunk.
        usage: ask the provider for the usage of streamed calls, where it can be asked.
        repairs: mend what the OpenAI classes misread.
        max_lead: how many chunks the LLM may be ahead of the slowest reader of the run; None for
            any number.
        site: where its calls are made, wherever that is; None for where each call is made.
    """

    on_incomplete: OnIncomplete = "raise"
    strict: bool = False
    usage: bool = True
    repairs: bool = True
    max_lead: int | None = None
    site: CallObserver | None = None

    def __post_init__(self) -> None:
        if self.on_incomplete not in get_args(OnIncomplete):
            raise ValueError(f"on_incomplete is 'event' or 'raise', not {self.on_incomplete!r}")
        if self.max_lead is not None and self.max_lead < 1:
            raise ValueError(
                f"max_lead={self.max_lead}: the LLM must be let ahead by 1 chunk at least"
            )
