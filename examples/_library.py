"""A small library to ask questions of: the pages in `data/` about Quellmouth, and a database.

Nothing is downloaded and no key is needed. The two retrievers are real ones: one compares vectors
of weighted words (TF-IDF), the other ranks by BM25. The database is SQLite, in memory.
"""

# Core's own signatures are not typed in full.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llama_index.core import QueryBundle, SQLDatabase, SummaryIndex, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import BaseNode, NodeWithScore, TextNode
from pydantic import Field
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool

DATA = Path(__file__).parent / "data"

_STOP_WORDS = set(
    re.findall(
        r"\w+",
        "a about after all an and are as at be before but by can do does for from go goes has have"
        " how in is it its of on one only or out that the there they this to up was were what when"
        " where which who why will with you",
    )
)


def words(text: str) -> list[str]:
    """The words of a text that tell something, without their endings."""
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [re.sub(r"(ing|ed|es|s)$", "", w) or w for w in found if w not in _STOP_WORDS]


class TfIdf(BaseEmbedding):
    """An embedding of weighted words: what is rare in the library counts more.

    Args:
        rarity: the words of the library, each with its weight; see `fitted`.
    """

    rarity: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def fitted(cls, texts: Sequence[str]) -> TfIdf:
        """An embedding for texts, whose words are all that it knows."""
        seen = Counter(word for text in texts for word in set(words(text)))
        rarity = {word: math.log(1 + len(texts) / seen[word]) for word in sorted(seen)}
        return cls(rarity=rarity, model_name="tf-idf")

    def _get_text_embedding(self, text: str) -> list[float]:
        counts = Counter(words(text))
        vector = [math.log(1 + counts[word]) * rare for word, rare in self.rarity.items()]
        length = math.hypot(*vector)
        # A text without any known word is as near to the one as to the other.
        return [x / length for x in vector] if length else [1.0] * len(vector)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class BM25(BaseRetriever):
    """A retriever that ranks nodes by BM25.

    Args:
        nodes: where to look.
        top_k: how many to find at most.
    """

    def __init__(self, nodes: Sequence[BaseNode], *, top_k: int = 2) -> None:
        super().__init__()
        self._nodes = list(nodes)
        self._counts = [Counter(words(node.get_content())) for node in self._nodes]
        self._mean = sum(c.total() for c in self._counts) / len(self._counts)
        self._top_k = top_k

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        asked = set(words(query_bundle.query_str))
        rarity = {word: self._rarity(word) for word in sorted(asked)}
        scores = [self._score(counts, rarity) for counts in self._counts]
        ranked = sorted(zip(scores, self._nodes, strict=True), key=lambda pair: -pair[0])
        found = [(score, node) for score, node in ranked[: self._top_k] if score > 0]
        return [NodeWithScore(node=node, score=score) for score, node in found]

    def _rarity(self, word: str) -> float:
        having = sum(word in counts for counts in self._counts)
        return math.log(1 + (len(self._nodes) - having + 0.5) / (having + 0.5))

    def _score(self, counts: Counter[str], rarity: dict[str, float]) -> float:
        # The usual constants, k1 = 1.5 and b = 0.75.
        longer = 0.25 + 0.75 * counts.total() / self._mean
        return sum(
            rare * counts[word] * 2.5 / (counts[word] + 1.5 * longer)
            for word, rare in rarity.items()
        )


@functools.cache
def paragraphs() -> tuple[TextNode, ...]:
    """The paragraphs of the pages, each under its heading, with ids that are always the same."""
    nodes: list[TextNode] = []
    for path in sorted(DATA.glob("*.md")):
        heading, *parts = path.read_text(encoding="utf-8").strip().split("\n\n")
        for number, part in enumerate(parts):
            text = f"{heading.removeprefix('# ')}: {part}"
            node_id = f"{path.stem}-{number}"
            nodes.append(TextNode(text=text, id_=node_id, metadata={"page": path.stem}))
    return tuple(nodes)


def pages(*names: str) -> list[TextNode]:
    """The paragraphs of some pages, or of all of them."""
    return [node for node in paragraphs() if not names or node.metadata["page"] in names]


@functools.cache
def embedding() -> TfIdf:
    """The embedding of the library."""
    return TfIdf.fitted([node.get_content() for node in paragraphs()])


def vector_index(*names: str) -> VectorStoreIndex:
    """An index of some pages, or of all of them."""
    return VectorStoreIndex(pages(*names), embed_model=embedding())


def summary_index(*names: str) -> SummaryIndex:
    """All the paragraphs of some pages, one after the other."""
    return SummaryIndex(pages(*names))


def bm25(*names: str, top_k: int = 2) -> BM25:
    """A BM25 retriever over some pages, or over all of them."""
    return BM25(pages(*names), top_k=top_k)


_TABLES: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "boats": (
        "name TEXT PRIMARY KEY, launched INTEGER, seats INTEGER, drive TEXT",
        [
            ("Kittiwake", 1994, 40, "diesel"),
            ("Heron", 1978, 60, "diesel"),
            ("Sandpiper", 2003, 120, "diesel"),
            ("Tern", 2021, 150, "battery"),
        ],
    ),
    "sailings": (
        "boat TEXT REFERENCES boats(name), destination TEXT, departs TEXT, fare INTEGER",
        [
            ("Kittiwake", "Gull Rock", "10:00", 14),
            ("Kittiwake", "Gull Rock", "14:00", 14),
            ("Heron", "Upper Quell", "09:30", 8),
            ("Sandpiper", "Saint Orrin", "08:15", 11),
            ("Tern", "Saint Orrin", "07:00", 11),
            ("Tern", "Saint Orrin", "12:00", 11),
            ("Tern", "Saint Orrin", "17:30", 11),
        ],
    ),
    "visitors": (
        "place TEXT, year INTEGER, people INTEGER",
        [
            ("lighthouse", 2023, 11_240),
            ("lighthouse", 2024, 12_085),
            ("museum", 2023, 6_310),
            ("museum", 2024, 5_970),
        ],
    ),
}


def database(tables: Iterable[str] = tuple(_TABLES)) -> SQLDatabase:
    """The boats, sailings and visitors of Quellmouth, in a database of SQLite in memory."""
    # One connection for all threads: every other one would have an empty database of its own.
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    with engine.begin() as connection:
        for name in tables:
            columns, rows = _TABLES[name]
            connection.execute(text(f"CREATE TABLE {name} ({columns})"))
            marks = ", ".join(f":{n}" for n in range(len(rows[0])))
            values = [{str(n): value for n, value in enumerate(row)} for row in rows]
            connection.execute(text(f"INSERT INTO {name} VALUES ({marks})"), values)
    return SQLDatabase(engine)
