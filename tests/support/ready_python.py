"""Programs in processes of their own, forked from a Python that has its imports done.

To import LlamaIndex takes a program longer than all that the tests have it do. Each program has an
interpreter of its own still, which ends as any does: only what was imported is there already.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

IMPORTED = (
    "llama_index.core",
    "llama_index.llms.openai",
    "openai.resources",
    "llama_index_streaming_ext.agents",
    "llama_index_streaming_ext.draw",
    "llama_index_streaming_ext.query.chat.engine",
    "llama_index_streaming_ext.testing.fake_llm",
    "llama_index_streaming_ext.testing.fake_openai",
)
"""What takes long to import."""

TIMEOUT = 300
"""Seconds that a program may take; then it is killed, by SIGALRM."""


class ReadyPython:
    """A Python that is ready to run programs.

    Args:
        process: the process that forks.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self, program: Path | str, where: Path | None = None, typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end.

        Args:
            program: a file, or the code itself.
            where: the folder that it runs in; this one if there is none.
            typed: what it reads from its standard input.

        Returns:
            Its exit code, negative if a signal has ended it, and what it has printed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with TemporaryDirectory() as folder:
            streams = Path(folder)
            if isinstance(program, str):
                (streams / "program.py").write_text(program, encoding="utf-8")
                program = streams / "program.py"
            (streams / "0").write_text(typed, encoding="utf-8")
            self._process.stdin.write(json.dumps([str(program), str(where or "."), folder]) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            out, err = ((streams / name).read_text(encoding="utf-8") for name in "12")
        return subprocess.CompletedProcess(str(program), code, out, err)


@contextmanager
def ready_python(env: Mapping[str, str]) -> Generator[ReadyPython]:
    """A Python with this environment."""
    command = [sys.executable, __file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True) as process:
        yield ReadyPython(process)


def _serve() -> None:
    # The programs' own standard streams are others.
    with os.fdopen(os.dup(0)) as asked, os.fdopen(os.dup(1), "w") as answers:
        for line in asked:
            program, where, streams = json.loads(line)
            child = os.fork()
            if not child:
                break
            answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
            answers.flush()
        else:
            return
    _become(program, where, streams)


def _become(program: str, where: str, streams: str) -> None:
    signal.alarm(TIMEOUT)
    for number, flags in enumerate((os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2)):
        os.dup2(os.open(os.path.join(streams, str(number)), flags), number)
    os.chdir(where)
    sys.argv[:] = [program]
    sys.path[0] = os.path.dirname(program)
    # Not by runpy, which would take the program's names from it before the interpreter ends.
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__file__ = program
    with open(program, encoding="utf-8") as source:
        code = compile(source.read(), program, "exec")
    exec(code, vars(main))


if __name__ == "__main__":
    for _name in IMPORTED:
        importlib.import_module(_name)
    # The end of a program is none of what is imported: that is not looked through for garbage.
    gc.collect()
    gc.freeze()
    _serve()
