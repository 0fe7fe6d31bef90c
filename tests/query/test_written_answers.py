"""An answer that is written as the LLM says it."""

from __future__ import annotations

import pytest

from llama_index_streaming_ext.query.run import QueryRun


def asked(said_by_core: str) -> QueryRun:
    """A query whose LLM has said `abc` when core's engine gives back its answer."""
    run = QueryRun("?", "Engine", verbatim=True)

    def ask() -> str:
        assert run.takes_answer()
        run.write_answer("abc")
        return said_by_core

    run.start_in_thread(ask)
    run.wait_sync()
    return run


@pytest.mark.parametrize(("core", "text"), [("abc", "abc"), ("abc!", "abc!"), ("", "abc")])
def test_what_core_adds_is_written_too(core: str, text: str) -> None:
    """What the LLM has said is there once."""
    run = asked(core)
    assert (run.text, run.error) == (text, None)


def test_another_answer_of_core_s_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """What is written cannot be taken back, but nobody is left in ignorance."""
    run = asked("something else")
    assert run.text == "abc"
    assert "makes another answer of it: 'something else'" in caplog.text
