"""`print_response_stream(rich=True)`: an answer as it comes, in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from llama_index_streaming_ext.errors import MissingDependency

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# How often the terminal is redrawn, per second: markdown is parsed anew each time.
_REDRAWS = 10


def print_token(token: str) -> None:
    """Print a piece of an answer, as upstream does."""
    print(token, end="", flush=True)


def print_line(text: str = "") -> None:
    """Print a whole answer, or the end of one."""
    print(text)


@contextmanager
def token_printer(
    display: Display | None, sources: Callable[[], str]
) -> Generator[Callable[[str], None]]:
    """Give a function that prints each token of an answer, and print its sources in the end.

    Args:
        display: the terminal to draw in; None to print plainly, without sources.
        sources: returns the formatted sources, once the answer has ended.
    """
    if display is None:
        yield print_token
        return
    with display:
        yield display.add
    display.sources(sources())


def terminal_display() -> Display | None:
    """Return a display for the terminal; None if the output is no terminal to redraw.

    Raises:
        MissingDependency: rich is not installed.
    """
    try:
        from rich.console import Console
    except ImportError as error:
        raise MissingDependency("rich", "cli") from error
    console = Console()
    if not console.is_terminal or console.is_dumb_terminal:
        return None
    return Display(console)


class Display:
    """A terminal in which markdown grows, with a spinner until its first token.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._console = console
        # The braille of the other spinners cannot be printed everywhere.
        self._spinner = Spinner("dots" if console.encoding.startswith("utf") else "line")
        self._tokens: list[str] = []
        self._over = False
        self._live = Live(console=console, get_renderable=self._drawn, refresh_per_second=_REDRAWS)

    def __enter__(self) -> Display:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The last redraw is what stays on the screen.
        self._over = True
        self._live.stop()

    def add(self, token: str) -> None:
        """Draw one more piece of the answer, soon."""
        self._tokens.append(token)

    def sources(self, formatted: str) -> None:
        """Print the sources under the answer.

        Args:
            formatted: the text that `get_formatted_sources()` returns.
        """
        if formatted:
            self._console.print("\nSources", style="bold")
            self._console.print(formatted, style="dim", markup=False, highlight=False)

    def _drawn(self) -> RenderableType:
        from rich.markdown import Markdown

        # Of a copy: this is another thread than the one that adds.
        text = "".join(list(self._tokens))
        if text or self._over:
            return Markdown(text)
        return self._spinner
