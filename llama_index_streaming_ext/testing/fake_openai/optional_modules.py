"""Imports of modules that come with an extra of this package."""

from __future__ import annotations

import importlib
from typing import Any

from llama_index_streaming_ext.errors import MissingDependency

_EXTRAS = {
    "h11": ("h11, which FakeOpenAI.serve() reads requests with,", "testing"),
    "respx": ("respx, which FakeOpenAI.mock() answers with,", "testing"),
    "llama_index.llms.openai": ("llama-index-llms-openai", "openai"),
}


def load(module: str) -> Any:
    """Import a module that is there only with an extra of this package.

    Raises:
        MissingDependency: the extra is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # Namespace packages: without the integration, `llama_index.llms` itself may be missing.
        missing = error.name or ""
        for name, (what, extra) in _EXTRAS.items():
            if name == missing or name.startswith(f"{missing}."):
                raise MissingDependency(what, extra) from error
        raise
