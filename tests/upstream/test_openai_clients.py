"""Which HTTP clients the OpenAI classes make and keep, and how they take to a second event loop."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import httpx
import openai
import pytest
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text

BOTH = pytest.mark.parametrize("cls", [OpenAI, OpenAIResponses])
SETTINGS: dict[str, Any] = {
    "api_key": "not-a-key",
    "api_base": "http://127.0.0.1:1/v1",
    "max_retries": 7,
    "timeout": 8.0,
    "default_headers": {"x-team": "red"},
}


async def complete(llm: Any) -> CompletionResponse:
    """A call."""
    return await llm.acomplete("Hi")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("make", ["llm", "responses_llm"])
def test_u65_a_second_loop_fails_on_the_connections_of_the_first(make: str) -> None:
    """By default the SDK hides it: it tries again half a second later."""
    fake = FakeOpenAI([Turn(text("Hello"))], repeat_last=True, keep_alive=True)
    with fake.serve():
        llm = getattr(fake, make)(max_retries=0)
        assert asyncio.run(complete(llm)).text == "Hello"
        with pytest.raises(openai.APIConnectionError) as caught:
            asyncio.run(complete(llm))
    assert "Event loop is closed" in str(caught.value.__cause__)
    del llm, caught
    # Here, where what it warns of is expected.
    gc.collect()


def test_u66_openai_makes_its_clients_when_they_are_needed() -> None:
    """And keeps them, whatever is changed then."""
    llm: Any = OpenAI(**SETTINGS)
    assert llm._client is llm._aclient is None
    sync, made = llm._get_client(), llm._get_aclient()
    llm.api_key = "another"
    assert llm._client is llm._get_client() is sync
    assert llm._aclient is llm._get_aclient() is made
    assert sync.api_key == made.api_key == "not-a-key"


def test_u66_openai_responses_makes_its_clients_at_once() -> None:
    """There is no telling them from those that it was given."""
    llm: Any = OpenAIResponses(**SETTINGS)
    assert type(llm._client) is openai.OpenAI
    assert type(llm._aclient) is openai.AsyncOpenAI
    assert not hasattr(llm, "reuse_client")


def test_u66_without_reuse_each_call_has_a_client() -> None:
    """Which a stream leaves open."""
    llm: Any = OpenAI(**SETTINGS, reuse_client=False)
    assert llm._get_aclient() is not llm._get_aclient()
    assert llm._aclient is None


@BOTH
def test_u66_what_the_user_gave_is_kept_in_private_attributes(cls: Any) -> None:
    """HTTP clients, and the SDK's."""
    with httpx.Client() as http, openai.OpenAI(api_key="not-a-key") as sync:
        ahttp, made = httpx.AsyncClient(), openai.AsyncOpenAI(api_key="not-a-key")
        llm = cls(
            **SETTINGS,
            http_client=http,
            async_http_client=ahttp,
            openai_client=sync,
            async_openai_client=made,
        )
        assert (llm._http_client, llm._async_http_client) == (http, ahttp)
        assert (llm._client, llm._aclient) == (sync, made)


@BOTH
def test_u66_the_settings_of_its_clients_are_these(cls: Any) -> None:
    """With them a client can be made that is as its own."""
    assert cls(**SETTINGS)._get_credential_kwargs(is_async=True) == {
        "api_key": "not-a-key",
        "base_url": "http://127.0.0.1:1/v1",
        "max_retries": 7,
        "timeout": 8.0,
        "default_headers": {"x-team": "red"},
        "http_client": None,
    }


def test_u66_clients_that_send_the_same_have_equal_settings() -> None:
    """Sync and async; their HTTP clients are of classes that the SDK keeps to itself."""
    sync: Any = openai.OpenAI(api_key="not-a-key", default_headers={"x-team": "red"})
    other: Any = openai.AsyncOpenAI(api_key="not-a-key", default_headers={"x-team": "red"})
    for name in ("api_key", "base_url", "organization", "project", "timeout", "max_retries"):
        assert getattr(sync, name) == getattr(other, name)
    assert sync._custom_headers == other._custom_headers == {"x-team": "red"}
    assert sync._custom_query == other._custom_query == {}
    names = [type(client._client).__name__ for client in (sync, other)]
    assert names == ["SyncHttpxClientWrapper", "AsyncHttpxClientWrapper"]
    assert type(openai.DefaultHttpxClient()).__name__ not in names


def test_u66_a_copy_shares_what_it_is_made_of() -> None:
    """Its private attributes are its own."""
    llm: Any = OpenAI(**SETTINGS)
    copied = llm.__copy__()
    copied._aclient = openai.AsyncOpenAI(api_key="not-a-key")
    assert llm._aclient is None
    assert copied.callback_manager is llm.callback_manager
    assert copied.default_headers is llm.default_headers
