"""The command line: `python -m llama_index_streaming_ext`, or `llama-index-streaming-ext`."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

from llama_index_streaming_ext import __version__
from llama_index_streaming_ext.errors import MissingDependency

# What shells report for a program that ended by SIGINT, and by SIGPIPE.
INTERRUPTED = 130
BROKEN_PIPE = 141

_WRONG_USE = 2
_INTERRUPTED_LINE = "\nInterrupted.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the arguments; None takes those of the process.

    Returns:
        The exit code of the process: 0; 1 when it did not work; 2 for a wrong use; 130 after
        Ctrl-C; 141 when whoever reads the output stopped reading.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] | None = options.command
    if command is None:
        parser.print_help()
        return 0
    _print_on_any_terminal()
    try:
        code = command(options)
        print(end="", flush=True)
    except MissingDependency as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # The process is about to end: a second Ctrl-C would tear that.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(_INTERRUPTED_LINE, end="", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return BROKEN_PIPE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llama-index-streaming-ext",
        description="LlamaIndex streams that any number of readers can follow.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="command")
    _add_demo(commands)
    return parser


# Each command: a function that adds its parser, and one that runs it.


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] # argparse has no public name for it
    demo = commands.add_parser(
        "demo",
        help="see a workflow and an agent stream",
        description="A workflow and an agent stream, against a fake provider on this machine: no "
        "key is needed, and none is used.",
    )
    demo.add_argument(
        "--live", action="store_true", help="call the provider, with the key in OPENAI_API_KEY"
    )
    demo.add_argument("--fast", action="store_true", help="do not pace it for people to watch")
    demo.set_defaults(command=_demo)


def _demo(options: argparse.Namespace) -> int:
    if options.live and not os.environ.get("OPENAI_API_KEY"):
        print("--live calls the provider: set OPENAI_API_KEY to your key.", file=sys.stderr)
        return _WRONG_USE
    with _ended_by_interrupt():
        # Said before LlamaIndex is imported, which takes seconds.
        print(f"llama-index-streaming-ext {__version__}", flush=True)
        from llama_index_streaming_ext import demo

        return demo.run(live=options.live, fast=options.fast)


@contextlib.contextmanager
def _ended_by_interrupt() -> Generator[None]:
    """End the process at Ctrl-C, as long as a command has begun nothing that is to be cleaned up.

    A KeyboardInterrupt in the middle of an import is not always reported as one.
    """

    def end(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.write(2, _INTERRUPTED_LINE.encode())
        os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _print_on_any_terminal() -> None:
    """Print a question mark for what the terminal has no character for."""
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        cast("io.TextIOWrapper[Any]", stdout).reconfigure(errors="replace")


def _forget_stdout() -> None:
    """See that the interpreter does not complain when it flushes stdout at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
