"""Which objects within reach of an engine a copy of it must make anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.llms import LLM

from llama_index_streaming_ext.query.engine_copy.callables import shape_of_callable
from llama_index_streaming_ext.query.engine_copy.classes import CopyRule, copy_rule_of, is_part
from llama_index_streaming_ext.query.engine_copy.shapes import Shape, shape_of

Replace = Callable[[object], "object | None"]
"""Gives what is to stand in for a part, or None."""

_FAR = 10
"""How many containers, functions and foreign objects there may be between two parts in a row."""

_MANY = 10_000
"""How many of those are looked into in all: rows of data held by an engine are no parts."""


class Survey:
    """What an engine holds, at whatever remove, and what of it must be made anew.

    Args:
        root: the engine.
        replace: asked about each part but the engine itself, once, in the order of their distance.
    """

    def __init__(self, root: object, replace: Replace | None = None) -> None:
        self.llms: list[LLM] = []
        self.stand_ins: dict[int, object] = {}
        self._stands_for: dict[int, int] = {}
        self._replace = replace
        # Their ids are keys here: they must live as long.
        self.met: dict[int, object] = {id(root): root}
        self._holders: dict[int, list[int]] = {}
        self._sources: list[int] = [id(root)]
        self._todo: deque[tuple[Any, int]] = deque([(root, 0)])
        self._left = _MANY
        while self._todo:
            self._look_into(*self._todo.popleft())
        self.copied = self._within_reach_of_sources()

    def stand_in_of(self, held: object, holder: object) -> object | None:
        """What `holder` is to hold instead of `held`; a stand-in may hold what it stands for."""
        if self._stands_for.get(id(holder)) == id(held):
            return None
        return self.stand_ins.get(id(held))

    def _look_into(self, holder: Any, hops: int) -> None:
        for held in _worth_following(shape_for(holder).held(holder)):
            if id(held) not in self.met:
                self._meet(held, hops + 1)
            if id(held) in self.met:
                self._holders.setdefault(id(held), []).append(id(holder))
                if self.stand_in_of(held, holder) is not None:
                    self._sources.append(id(holder))

    def _meet(self, obj: object, hops: int) -> None:
        role = copy_rule_of(type(obj))
        if isinstance(obj, LLM) and role is CopyRule.LLM:
            self.llms.append(obj)
            self._sources.append(id(obj))
        elif is_part(role):
            self._meet_part(obj, role)
        else:
            self._left -= 1
            if self._left < 0 or hops > _FAR:
                return
            self._todo.append((obj, hops))
        self.met[id(obj)] = obj

    def _meet_part(self, part: object, role: CopyRule) -> None:
        if role is CopyRule.WRITTEN:
            self._sources.append(id(part))
        self._todo.append((part, 0))
        stand_in = self._replace(part) if self._replace else None
        if stand_in is not None and stand_in is not part:
            self.stand_ins[id(part)] = stand_in
            self._stands_for[id(stand_in)] = id(part)
            if id(stand_in) not in self.met:
                self.met[id(stand_in)] = stand_in
                self._todo.append((stand_in, 0))

    def _within_reach_of_sources(self) -> set[int]:
        """The sources and all that holds one of them, at whatever remove."""
        found: set[int] = set()
        todo = self._sources
        while todo:
            key = todo.pop()
            if key not in found:
                found.add(key)
                todo += self._holders.get(key, ())
        return found


def shape_for(obj: object) -> Shape:
    """How `obj` is looked into and made anew."""
    return shape_of_callable(obj) if copy_rule_of(type(obj)) is CopyRule.CALLABLE else shape_of(obj)


def _worth_following(held: Sequence[object]) -> Sequence[object]:
    """Without what is left alone: a list of a thousand nodes costs one look at their class."""
    every: set[type] = set(map(type, held))
    classes = {cls for cls in every if copy_rule_of(cls) is not CopyRule.LEFT}
    return [obj for obj in held if type(obj) in classes] if classes else ()
