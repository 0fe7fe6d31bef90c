"""What core makes of an answer that was written as the LLM said it."""

from __future__ import annotations

import logging
from textwrap import shorten

logger = logging.getLogger("llama_index_streaming_ext")


class CoreSaid:
    """The answer as core gives it, behind what is written of it already."""

    def __init__(self) -> None:
        self._text = ""

    def adds(self, delta: str, written: str) -> str:
        """What core says with a delta besides what is written; empty where it says the same."""
        self._text += delta
        return self._text[len(written) :] if self._text.startswith(written) else ""

    def compare(self, run_id: str, written: str) -> None:
        """Log where core makes another answer of it: what is written cannot be taken back."""
        if self._text.strip() not in written:
            said = shorten(self._text, 200)
            logger.warning("%s: core makes another answer of it: %r", run_id, said)
