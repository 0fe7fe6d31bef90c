"""The bodies of the pytest plugin's fixtures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import pytest
from llama_index.core.llms import LLM

from llama_index_streaming_ext.testing.cassette import Cassette
from llama_index_streaming_ext.testing.cassette.tape import Record
from llama_index_streaming_ext.testing.clock import VirtualClock
from llama_index_streaming_ext.testing.errors import UnexpectedLLMCall
from llama_index_streaming_ext.testing.fake_llm import FakeStreamingLLM
from llama_index_streaming_ext.testing.fake_openai import OPENAI_URL, FakeOpenAI
from llama_index_streaming_ext.testing.network import no_network
from llama_index_streaming_ext.testing.plugin import RESULT
from llama_index_streaming_ext.testing.script.turns import Script, Turn

NOTHING = contextlib.nullcontext()


class Scripted(Protocol):
    """The part of a fake that the fixtures check after the test."""

    @property
    def unexpected(self) -> list[UnexpectedLLMCall]:
        """The calls that its script had no turn for."""
        ...

    @property
    def left(self) -> list[Turn]:
        """The turns that no call has had."""
        ...


def fake_llm(request: pytest.FixtureRequest) -> Generator[Callable[..., FakeStreamingLLM]]:
    """A factory of `FakeStreamingLLM`s, which it checks after the test."""
    fakes: list[Scripted] = []

    def make(script: Script = (), **kwargs: Any) -> FakeStreamingLLM:
        fake = FakeStreamingLLM(script, **kwargs)
        if _is_strict(**kwargs):
            fakes.append(fake)
        return fake

    yield make
    _check_scripts(request, fakes)


def fake_openai(request: pytest.FixtureRequest) -> Generator[Callable[..., FakeOpenAI]]:
    """A factory of `FakeOpenAI`s that answer until the test is over, and are checked then.

    The first one is where an application finds OpenAI by itself: in process at OpenAI's own URL,
    or, with `serve=True`, as a real server that the environment points at. A key is set. Further
    ones have URLs of their own: use their `llm()` or `url`.
    """
    fakes: list[Scripted] = []
    entered = 0

    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as environ:

        def make(script: Script, *, serve: bool = False, **kwargs: Any) -> FakeOpenAI:
            nonlocal entered
            fake = FakeOpenAI(script, **kwargs)
            entered += 1
            own = OPENAI_URL if entered == 1 else f"https://fake-{entered}.invalid/v1"
            stack.enter_context(fake.serve() if serve else fake.mock(base_url=own))
            if entered == 1:
                _point_at(fake, environ)
            if _is_strict(**kwargs):
                fakes.append(fake)
            return fake

        yield make
    _check_scripts(request, fakes)


def virtual_clock(request: pytest.FixtureRequest) -> Generator[VirtualClock]:
    """The clock, which runs until the test is over."""
    with VirtualClock() as clock:
        yield clock


def no_llm_network(request: pytest.FixtureRequest) -> Generator[None]:
    """Refuse connections until the test is over, unless its cassette is to be recorded."""
    records = request.config.option.llm_record != "none"
    with no_network() if not (records and "llm_cassette" in request.fixturenames) else NOTHING:
        yield


def llm_cassette(request: pytest.FixtureRequest) -> Generator[Callable[..., Any]]:
    """A function of an LLM, or of one that makes it: gives what replays or records its calls.

    It is replayed without waiting; where the test has a `virtual_clock`, with its own timing.
    """
    mode: Record = request.config.option.llm_record
    path, cassettes = _cassette_path(request), list[Cassette]()
    speed = 1.0 if "virtual_clock" in request.fixturenames else 0.0

    def wrap(real: LLM | Callable[[], LLM]) -> LLM:
        # Counted, so that several recordings of one test are found again.
        number = len(cassettes) + 1
        file = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        if mode == "none" and not file.exists():
            command = f"pytest --llm-record=new '{request.node.nodeid}'"
            pytest.fail(f"There is no cassette '{file}'. Record it with: {command}", pytrace=False)
        cassettes.append(Cassette(file, record=mode, speed=speed))
        if isinstance(real, LLM):
            return cassettes[-1].wrap(real)
        return cassettes[-1].llm() if mode == "none" else cassettes[-1].wrap(real())

    yield wrap
    _check(
        request,
        [error for cassette in cassettes for error in cassette.mismatches],
        [f"call {r.call}" for c in cassettes if mode == "none" for r in c.left],
        "If that is right, record it anew with --llm-record=all.",
    )


def _is_strict(*, strict: bool = True, repeat_last: bool = False, **_: Any) -> bool:
    return strict and not repeat_last


def _check_scripts(request: pytest.FixtureRequest, fakes: Sequence[Scripted]) -> None:
    _check(
        request,
        [error for fake in fakes for error in fake.unexpected],
        [repr(turn) for fake in fakes for turn in fake.left],
        "Take them out of the script, or pass repeat_last=True or strict=False.",
    )


def _check(
    request: pytest.FixtureRequest, unexpected: Sequence[Exception], left: list[str], advice: str
) -> None:
    """Fails the test if an LLM was called more often, or less often, than was foreseen."""
    if request.node.stash.get(RESULT, None) != "passed":
        # It has failed, perhaps because of such a call that a framework has swallowed.
        for error in unexpected:
            request.node.add_report_section("teardown", "LLM calls", str(error))
    elif unexpected:
        pytest.fail("\n".join(map(str, unexpected)), pytrace=False)
    elif left:
        rest = "".join(f"  {item}\n" for item in left)
        pytest.fail(
            f"The LLM was called less often than foreseen. Left over:\n{rest}{advice}",
            pytrace=False,
        )


def _point_at(fake: FakeOpenAI, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OPENAI_API_KEY", "fake-key")
    # The SDK reads the first, LlamaIndex the second.
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        environ.setenv(name, fake.url)


def _cassette_path(request: pytest.FixtureRequest) -> Path:
    here: Path = request.path.parent
    marker = request.node.get_closest_marker("llm_cassette")
    named = [*marker.args, *marker.kwargs.values()] if marker is not None else []
    if named:
        return here / named[0]
    owner = getattr(getattr(request, "cls", None), "__name__", "")
    name = quote(f"{owner}.{request.node.name}".lstrip("."), safe="[] ")
    return here / "cassettes" / request.path.stem / f"{name}.jsonl"
