"""`python -m llama_index_streaming_ext.testing serve script.py`: the fake, for other processes."""

from __future__ import annotations

import argparse
import contextlib
import runpy
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from llama_index_streaming_ext.errors import StreamingError
from llama_index_streaming_ext.testing.fake_openai import FakeOpenAI


def _for_ever() -> None:
    threading.Event().wait()


def main(arguments: Sequence[str] | None = None, *, until: Callable[[], object] = _for_ever) -> int:
    """Runs the command line.

    Args:
        arguments: the arguments; None takes those of the process.
        until: returns when the server is to stop; the default waits for Ctrl-C.

    Returns:
        The exit code of the process.
    """
    options = _parser().parse_args(arguments)
    try:
        fake = _fake(options.script, split=options.split, repeat_last=options.repeat_last)
        served = fake.serve(host=options.host, port=options.port)
        with contextlib.suppress(KeyboardInterrupt), served as url:
            # The first line is for the process that started this one.
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()
            until()
    except (OSError, StreamingError, TypeError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m llama_index_streaming_ext.testing",
        description="Fakes of LLM providers, for tests in any language.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    serve = commands.add_parser(
        "serve",
        help="answer as OpenAI's HTTP API does, with what a script says",
        description="Prints the base URL on the first line, and answers until it is interrupted.",
    )
    serve.add_argument("script", help="a Python file that sets `script`, or `fake` to a FakeOpenAI")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    serve.add_argument("--port", type=int, default=0, help="the port (default: a free one)")
    serve.add_argument("--split", help="cut the bytes: 'byte' or 'random:<seed>'")
    serve.add_argument(
        "--repeat-last", action="store_true", help="answer all further calls with the last turn"
    )
    return parser


def _fake(path: str, **options: Any) -> FakeOpenAI:
    names = runpy.run_path(path)
    if isinstance(names.get("fake"), FakeOpenAI):
        return names["fake"]
    if "script" not in names:
        raise ValueError(f"{path} sets neither `script`, to a list of turns, nor `fake`.")
    return FakeOpenAI(names["script"], **options)


if __name__ == "__main__":
    sys.exit(main())
