"""The fakes need nothing that is not installed, and import nothing that is not used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import llama_index_streaming_ext.testing as testing
from tests.support.paths import ROOT

WITHOUT_OPENAI = """
import sys, warnings
warnings.simplefilter("ignore")
sys.modules["openai"] = None

from tests.support.testing.golden_dumps import DATA, dump, expected, golden, record, wire
from llama_index.core.base.llms.types import ChatMessage
from llama_index_streaming_ext.testing import FakeStreamingLLM, ProviderError, Turn, http

HI = [ChatMessage("hi")]

def fake(name, **kwargs):
    dialect = "chat" if name.startswith("chat.") else "responses"
    return FakeStreamingLLM([Turn.from_wire(wire(name))], dialect=dialect, **kwargs)

def untyped(dumped):
    return {k: v for k, v in dumped.items() if k != "raw_type"}

for path in sorted((DATA / "wire").glob("*.sse")):
    llm = fake(path.name)
    mine = record(llm, lambda: llm.stream_chat(HI))
    wanted = expected(golden(f"{path.stem}.stream"), "stream_chat")
    assert [untyped(c) for c in mine.chunks] == [untyped(c) for c in wanted["chunks"]], path
    assert mine.mutated_later == wanted["mutated_later"], path
    assert (mine.error or {}).get("str") == (wanted["error"] or {}).get("str"), path
    plain = fake(path.name, faithful=False)
    assert record(plain, lambda: plain.stream_chat(HI)).mutated_later == []

for path in sorted((DATA / "wire").glob("*.json")):
    llm = fake(path.name)
    wanted = expected(golden(f"{path.stem}.full"), "chat")["response"]
    assert untyped(dump(llm.chat(HI), llm)) == untyped(wanted), path

for turn in (Turn(http(429)), Turn.from_wire("data: {\\"error\\": \\"x\\"}\\n\\n")):
    try:
        list(FakeStreamingLLM([turn]).stream_chat(HI))
    except ProviderError as error:
        print(type(error).__name__)
"""

IMPORTS = """
import sys
from llama_index_streaming_ext.testing import {name}
heavy = {{"openai", "respx", "hypothesis", "h11", "llama_index"}}
print(*sorted(heavy & set(sys.modules)))
"""


def run(code: str) -> str:
    """Runs a program in a process of its own, and gives what it printed."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_chunks_are_dicts_of_equal_content_without_openai() -> None:
    """Where openai is not installed, raw and errors say the same in dicts and our own error."""
    assert run(WITHOUT_OPENAI).split() == ["ProviderError", "ProviderError"]


@pytest.mark.parametrize(
    ("name", "heavy"), [("Turn, text", ""), ("FakeStreamingLLM", "llama_index")]
)
def test_only_what_is_used_is_imported(name: str, heavy: str) -> None:
    """A script needs no LlamaIndex, and the fake LLM needs none of the optional packages."""
    assert run(IMPORTS.format(name=name)).strip() == heavy


def test_public_names_are_sorted_and_there() -> None:
    """Every public name can be imported, is listed once, in order, and shows in dir()."""
    assert testing.__all__ == sorted(set(testing.__all__))
    assert {name for name in testing.__all__ if not hasattr(testing, name)} == set()
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = testing.nonsense  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
