"""The plugin in processes of its own and with real servers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest


def test_an_app_finds_a_real_server_by_itself(run: Any) -> None:
    """With `serve=True` it gets there by a socket, also where other hosts are refused."""
    run("""
def test_it(fake_openai, no_llm_network):
    from llama_index.llms.openai import OpenAI
    fake = fake_openai([Turn(text("Hello"))], serve=True)
    assert fake.url.startswith("http://127.0.0.1")
    assert OpenAI("gpt-4o").complete("Hi").text == "Hello"
def test_the_environment_is_as_before():
    assert "OPENAI_BASE_URL" not in os.environ
""").assert_outcomes(passed=2)


def test_a_loopback_server_is_refused_on_virtual_time(run: Any) -> None:
    """The failure says so."""
    result = run("""
def test_it(fake_openai, virtual_clock):
    fake_openai([Turn(text("Hello"))], serve=True).llm(max_retries=0).complete("Hi")
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*refused, because virtual_clock is active*"])


def test_it_imports_nothing_heavy() -> None:
    """Loading the plugin costs those who do not use it nothing."""
    code = """
import sys, llama_index_streaming_ext.testing.plugin
heavy = {"llama_index", "workflows", "openai", "respx", "httpx", "hypothesis", "pydantic", "h11"}
print(sorted(heavy & set(sys.modules)))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"


def test_tests_that_do_not_use_it_import_nothing_heavy(pytester: pytest.Pytester) -> None:
    """A test session with the plugin, but without its fixtures, imports as little."""
    pytester.makepyfile("""
import sys
def test_it():
    assert not {"llama_index", "openai", "respx", "pydantic"} & set(sys.modules)
""")
    others = ("hypothesispytest", "asyncio", "respx", "langsmith_plugin")
    options = [option for name in others for option in ("-p", f"no:{name}")]
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)
