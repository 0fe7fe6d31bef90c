"""Fixtures of the tests of agents."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.agents.llm_kinds import KINDS, LLMs, llms_of


@pytest.fixture(params=KINDS)
def llms(request: pytest.FixtureRequest) -> Generator[LLMs]:
    """Makes LLMs that answer as scripts say: a test that takes it is run with each kind."""
    with llms_of(request.param) as made:
        yield made
