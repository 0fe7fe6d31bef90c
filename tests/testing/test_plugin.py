"""The pytest plugin, in tests of somebody else."""

from __future__ import annotations

from typing import Any

import pytest

# Scripts are kept to


def test_a_script_that_is_played_passes(run: Any) -> None:
    """A test whose fakes are asked as often as foreseen passes; several fakes are, too."""
    run("""
def test_it(fake_llm):
    one, two = fake_llm([Turn(text("1"))]), fake_llm("2", model="two")
    assert (one.complete("?").text, two.complete("?").text, two.model) == ("1", "2", "two")
""").assert_outcomes(passed=1)


SWALLOWED = """
def test_it({fixture}):
    llm = {make}
    llm.complete("first")
    try:
        llm.complete("second")
    except Exception:
        pass
    {end}
"""
WAYS = {
    "fake_llm": {"fixture": "fake_llm", "make": 'fake_llm([Turn(text("1"))]{args})'},
    "fake_openai": {"fixture": "fake_openai", "make": 'fake_openai([Turn(text("1"))]{args}).llm()'},
}


def swallowed(way: str, args: str = "", end: str = "") -> str:
    """A test that calls an LLM once more than its script says, and swallows the error."""
    return SWALLOWED.format(**WAYS[way], end=end).replace("{args}", args)


@pytest.mark.parametrize("way", WAYS)
def test_a_swallowed_call_too_many_fails_the_test(run: Any, way: str) -> None:
    """It fails at teardown, and shows the messages of the call and what was left."""
    result = run(swallowed(way))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*The LLM was called once more than its script says*", "*second*", "No turn is left.*"]
    )


def test_a_framework_that_swallows_it_fails_the_test(run: Any) -> None:
    """An agent turns the error into a failed run, whose outcome nobody looks at."""
    run("""
async def test_it(fake_llm):
    def look(): "Looks."
    llm = fake_llm([Turn(tool_call("look"))])
    await FunctionAgent(tools=[look], llm=llm).run(user_msg="Hi").outcome()
""").assert_outcomes(passed=1, errors=1)


def test_a_call_too_many_that_is_not_swallowed_fails_once(run: Any) -> None:
    """The test fails with the error itself, and there is no second one at teardown."""
    result = run("""
def test_it(fake_llm):
    llm = fake_llm([])
    llm.complete("Hi")
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *UnexpectedLLMCall*"])


def test_a_swallowed_call_shows_with_another_failure(run: Any) -> None:
    """A test that fails for another reason shows the call, which may be the reason."""
    result = run(swallowed("fake_llm", end="assert False"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Captured LLM calls teardown*", "*'content': 'second'*"])


LEFT = """
def test_it({fixture}):
    {make}
    {end}
"""


def left(way: str, args: str = "", end: str = "") -> str:
    """A test that calls its LLM less often than the script says."""
    return LEFT.format(**WAYS[way], end=end).replace("{args}", args)


@pytest.mark.parametrize("way", WAYS)
def test_turns_left_over_fail_the_test(run: Any, way: str) -> None:
    """They fail it at teardown, and are shown."""
    result = run(left(way))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*less often than foreseen*", "  *1*", "*out of the script*"])


@pytest.mark.parametrize("end", ["assert False", "pytest.skip()", "pytest.xfail()"])
def test_turns_left_over_are_silent_where_the_test_did_not_pass(run: Any, end: str) -> None:
    """A test that has failed, or was not finished, does not tell of them."""
    result = run(left("fake_llm", end=end))
    assert "errors" not in result.parseoutcomes()
    result.stdout.no_fnmatch_line("*less often*")


@pytest.mark.parametrize("args", [", strict=False", ", repeat_last=True"])
@pytest.mark.parametrize("way", WAYS)
def test_leniency_is_a_choice(run: Any, way: str, args: str) -> None:
    """Where the script is no promise, neither more nor fewer calls fail the test."""
    run(swallowed(way, args) + left(way, args).replace("test_it", "test_two")).assert_outcomes(
        passed=2
    )


def test_a_function_has_nothing_left_over(run: Any) -> None:
    """A function as script answers as often as it is asked, also never."""
    run("""
def test_never(fake_llm):
    fake_llm(lambda request: Turn(text(request.last)))
def test_often(fake_llm):
    llm = fake_llm(lambda request: Turn(text(request.last)))
    assert [llm.complete(p).text for p in "ab"] == ["a", "b"]
""").assert_outcomes(passed=2)


# OpenAI


def test_an_app_finds_the_fake_by_itself(run: Any) -> None:
    """Code that makes its own OpenAI gets to the fake, in process, without a key."""
    run("""
def test_it(fake_openai):
    from llama_index.llms.openai import OpenAI
    fake = fake_openai([Turn(text("Hello"))])
    assert OpenAI("gpt-4o").complete("Hi").text == "Hello"
    assert fake.requests[0].json["model"] == "gpt-4o"
""").assert_outcomes(passed=1)


def test_several_fakes_of_openai(run: Any) -> None:
    """Each has a URL of its own."""
    run("""
def test_it(fake_openai):
    one, two = fake_openai([Turn(text("1"))]), fake_openai([Turn(text("2"))])
    assert (two.llm().complete("?").text, one.llm().complete("?").text) == ("2", "1")
""").assert_outcomes(passed=1)


# Event loops

ASYNC = """
async def test_agent(fake_llm, virtual_clock):
    llm = fake_llm([Turn(wait(2.0), text("Hello"))])
    handler = FunctionAgent(llm=llm).run(user_msg="Hi")
    assert (await handler.outcome()).text == "Hello"
    assert llm.calls[0].first_chunk - llm.calls[0].started == 2.0
async def test_wire(fake_openai, virtual_clock):
    fake = fake_openai([Turn(http(429, retry_after=4.0)), Turn(text("Hello"))])
    assert (await fake.llm().acomplete("Hi")).text == "Hello"
    assert virtual_clock.elapsed == 4.0
async def test_loop(virtual_clock):
    other = asyncio.new_event_loop()
    other.close()
    assert type(asyncio.get_running_loop()) is type(other)  # nobody has replaced it
"""


ANYIO = """
pytestmark = pytest.mark.anyio
@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


@pytest.mark.parametrize(
    ("mode", "marks"),
    [
        ("auto", ""),
        ("strict", "pytestmark = pytest.mark.asyncio"),
        ("strict", "pytestmark = pytest.mark.asyncio(loop_scope='module')"),
        ("strict", ANYIO),
    ],
    ids=["asyncio auto", "asyncio strict", "asyncio shared loop", "anyio"],
)
def test_fixtures_are_for_every_async_plugin(run: Any, mode: str, marks: str) -> None:
    """The fixtures work on the loops of pytest-asyncio and anyio, and replace none."""
    run(marks + ASYNC, mode=mode).assert_outcomes(passed=3)


def test_no_llm_network(run: Any) -> None:
    """The fixture blocks while the test runs."""
    run("""
def test_it(no_llm_network):
    with pytest.raises(NetworkBlocked, match="api.openai.com"):
        httpx.get("https://api.openai.com/v1/models")
""").assert_outcomes(passed=1)


def test_a_recording_may_reach_the_provider(run: Any) -> None:
    """Where a cassette is recorded, the provider has to be asked."""
    source = """
import socket
connect = socket.socket.connect
def test_cassette(no_llm_network, llm_cassette):
    assert socket.socket.connect is connect
def test_other(no_llm_network):
    assert socket.socket.connect is not connect
"""
    run(source, "--llm-record=new").assert_outcomes(passed=2)


# Cassettes

CASSETTE = """
class App:
    made = 0
    def __call__(self):
        App.made += 1
        return FakeStreamingLLM(lambda request: Turn(text(f"{request.last}!")))
@pytest.mark.parametrize("question", ["a/b", "c"])
def test_it(llm_cassette, question):
    app = App()
    made = App.made
    assert llm_cassette(app).complete(question).text == f"{question}!"
    print("asked the real one:", App.made - made)
"""


def test_a_missing_cassette_says_how_to_record_it(run: Any) -> None:
    """Nothing is recorded by default: the test fails, and says which command records."""
    result = run(CASSETTE)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*Record it with: pytest --llm-record=new '*::test_it*"])


def test_a_cassette_is_recorded_and_replayed(run: Any, pytester: pytest.Pytester) -> None:
    """It lies next to the test, one per parameter, and is replayed without the real LLM."""
    run(CASSETTE, "--llm-record=new").assert_outcomes(passed=2)
    folder = pytester.path / "cassettes" / "test_a_cassette_is_recorded_and_replayed"
    assert sorted(file.name for file in folder.iterdir()) == [
        "test_it[a%2Fb].jsonl",
        "test_it[c].jsonl",
    ]
    result = run(CASSETTE, "-s")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*asked the real one: 0"])


@pytest.mark.parametrize(("mode", "answer"), [("none", "old"), ("new", "old"), ("all", "new")])
def test_what_is_recorded_again(run: Any, mode: str, answer: str) -> None:
    """`new` leaves what there is, `all` records it anew."""
    source = """
def test_it(llm_cassette):
    assert llm_cassette(FakeStreamingLLM("{now}")).complete("Hi").text == "{expected}"
"""
    run(source.format(now="old", expected="old"), "--llm-record=new").assert_outcomes(passed=1)
    result = run(source.format(now="new", expected=answer), f"--llm-record={mode}")
    result.assert_outcomes(passed=1)


def test_the_marker_names_the_file(run: Any, pytester: pytest.Pytester) -> None:
    """Its path is relative to the test's folder; a second LLM of a test has a file of its own."""
    source = """
@pytest.mark.llm_cassette("calls/mine.jsonl")
def test_it(llm_cassette):
    assert [llm_cassette(FakeStreamingLLM(a)).complete("Hi").text for a in "12"] == ["1", "2"]
"""
    run(source, "--llm-record=all").assert_outcomes(passed=1)
    files = sorted(file.name for file in (pytester.path / "calls").iterdir())
    assert files == ["mine-2.jsonl", "mine.jsonl"]
    run(source).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("questions", "said"),
    [(["a", "b", "c"], "*was not recorded*"), (["a"], "*less often than foreseen*")],
    ids=["more", "fewer"],
)
def test_a_cassette_is_kept_to(run: Any, questions: list[str], said: str) -> None:
    """A call that was not recorded, also a swallowed one, fails the test; and one left over."""
    source = """
def test_it(llm_cassette):
    llm = llm_cassette(lambda: FakeStreamingLLM([Turn(text("1")), Turn(text("2"))]))
    for question in {questions}:
        try:
            llm.complete(question)
        except Exception:
            pass
"""
    run(source.format(questions=["a", "b"]), "--llm-record=all").assert_outcomes(passed=1)
    result = run(source.format(questions=questions))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([said])


def test_a_replay_has_its_timing_where_time_is_virtual(run: Any) -> None:
    """Without a virtual clock nobody waits, with one the time is as it was recorded."""
    source = """
async def test_it(virtual_clock, llm_cassette):
    llm = llm_cassette(FakeStreamingLLM([Turn(wait(8.0), text("Hello"))]))
    async for _ in await llm.astream_complete("Hi"):
        pass
    assert virtual_clock.elapsed == 8.0
def test_real(llm_cassette):
    started = time.monotonic()
    llm = llm_cassette(FakeStreamingLLM([Turn({pause}, text("Hello"))]))
    assert llm.complete("Hi").text == "Hello"
"""
    run(source.format(pause="wait(0)"), "--llm-record=new").assert_outcomes(passed=2)
    run(source.format(pause="wait(0)")).assert_outcomes(passed=2)


# Being a plugin


def test_the_marker_is_registered(run: Any) -> None:
    """`pytest --markers` knows it."""
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.llm_cassette(path=None)*"])


def test_the_fixtures_are_described(run: Any) -> None:
    """`pytest --fixtures` says what each is for."""
    lines = ["fake_llm*", "*fake_llm(script*", "virtual_clock*", "*nobody waits*"]
    run("", "--fixtures").stdout.fnmatch_lines(lines)


def test_it_can_be_switched_off(run: Any) -> None:
    """With `-p no:llama_index_streaming_ext` there are none of its fixtures and options."""
    result = run("def test_it(fake_llm): pass", "-p", "no:llama_index_streaming_ext")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'fake_llm' not found*"])
