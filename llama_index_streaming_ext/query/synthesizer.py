"""`ResponseSynthesizer.from_args`, as LlamaIndex's documents print it."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from abc import ABCMeta
from typing import TYPE_CHECKING, Any, NoReturn

from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.response_synthesizers.base import BaseSynthesizer

_Base = BaseSynthesizer if TYPE_CHECKING else object


class _AnySynthesizer(ABCMeta):
    """Every synthesizer counts as an instance, for it is one that `from_args` gives."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, BaseSynthesizer)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, BaseSynthesizer)


class ResponseSynthesizer(_Base, metaclass=_AnySynthesizer):
    """Core's response synthesizers, under the name that the documents give them.

    `isinstance` takes every synthesizer of core's for one.

    Example:
        >>> from llama_index.core.llms import MockLLM
        >>> synth = ResponseSynthesizer.from_args(streaming=True, llm=MockLLM())
        >>> type(synth).__name__, isinstance(synth, ResponseSynthesizer)
        ('CompactAndRefine', True)
    """

    def __new__(cls, *_: Any, **__: Any) -> NoReturn:
        """Not this way: `from_args` makes one."""
        raise TypeError(
            "ResponseSynthesizer has no instances of its own: use ResponseSynthesizer.from_args("
            "response_mode=..., streaming=True), which gives the synthesizer of that mode."
        )

    # The very function, so that its arguments are those of the installed version of core.
    from_args = staticmethod(get_response_synthesizer)
    """Make a synthesizer: what `get_response_synthesizer` of core does, with its arguments.

    Args:
        **: `response_mode`, `llm`, `streaming`, `text_qa_template`, `output_cls`,
            `structured_answer_filtering`, `use_async`, and the others that core's function takes.

    Returns:
        The synthesizer of that mode, a `BaseSynthesizer` of core's.

    Raises:
        ValueError: there is no such mode.
        TypeError: core's function takes no such argument.
    """
