"""Runs of pytest with the plugin of the testing kit."""

from __future__ import annotations

from llama_index.llms import openai

from llama_index_streaming_ext.testing import fixtures

# pytester, which runs tests in this process, forgets what they import for the first time.
_IMPORTED = (openai, fixtures)

OFFLINE = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--strict-markers")

IMPORTS = """
from llama_index_streaming_ext import FunctionAgent
from llama_index_streaming_ext.testing import *
import asyncio, httpx, os, pytest, time
"""

ASYNCIO = "[pytest]\nasyncio_mode = {}\nasyncio_default_fixture_loop_scope = function\n"
