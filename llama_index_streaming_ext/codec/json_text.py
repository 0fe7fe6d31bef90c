"""JSON as text: compact, and in UTF-8."""

from __future__ import annotations

import json

from llama_index_streaming_ext.codec.restore import Malformed
from llama_index_streaming_ext.codec.values import Json

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_to_ascii = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def dumps(data: Json) -> bytes:
    """Return the bytes of a JSON value."""
    try:
        return _to_json(data).encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON has it as an escape, UTF-8 has not
        return _to_ascii(data).encode()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


scan = json.JSONDecoder(parse_constant=_refuse).decode
"""Parse a JSON text, and raise `ValueError` if it is none."""


def loads(data: bytes) -> Json:
    """Return the JSON value of some bytes, and raise `Malformed` if they are none."""
    try:
        return scan(data.decode())
    except ValueError as error:  # also UnicodeDecodeError, and a number with too many digits
        raise Malformed(f"it is no JSON ({error})") from error
