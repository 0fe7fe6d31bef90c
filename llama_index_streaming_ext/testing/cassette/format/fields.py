"""The fields that may be written to a cassette.

Everything else is left out, unless its value cannot hold a secret: None, a number, an empty list.
"""

from __future__ import annotations

import re
from typing import Any, cast

REQUEST_KWARGS = frozenset(
    [
        "allow_parallel_tool_calls",
        "format",
        "formatted",
        "frequency_penalty",
        "function_call",
        "functions",
        "generation_config",
        "include",
        "include_reasoning",
        "instructions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_output_tokens",
        "max_retries",
        "max_tokens",
        "max_tool_calls",
        "min_p",
        "modalities",
        "n",
        "num_predict",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "previous_response_id",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "response_mime_type",
        "response_schema",
        "seed",
        "service_tier",
        "stop",
        "stop_sequences",
        "store",
        "stream_options",
        "strict",
        "system",
        "temperature",
        "text",
        "text_format",
        "thinking",
        "thinking_config",
        "tool_choice",
        "tool_config",
        "tool_required",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "truncation",
        "use_chat_completions",
        "verbosity",
    ]
)
"""The keyword arguments of a call that are written, with all that is in them."""

LLM_SETTINGS = frozenset(
    [
        "context_window",
        "is_chat_model",
        "is_function_calling_model",
        "max_tokens",
        "model",
        "model_name",
        "num_output",
        "reasoning_effort",
        "seed",
        "system_prompt",
        "system_role",
        "temperature",
        "top_k",
        "top_p",
    ]
)
"""The fields of an LLM, and of its metadata, that are written."""

_KEPT = frozenset(
    [
        "$type",
        "=",
        "annotations",
        "arguments",
        "audio",
        "block_type",
        "cache_control",
        "call_id",
        "candidates",
        "caption",
        "choices",
        "citations",
        "cited_content",
        "code",
        "content",
        "content_block",
        "content_index",
        "container_id",
        "created",
        "created_at",
        "custom",
        "delta",
        "detail",
        "document_mimetype",
        "done_reason",
        "encrypted_content",
        "end_index",
        "error",
        "eval_count",
        "event",
        "event_id",
        "expires_at",
        "file_id",
        "filename",
        "finish_message",
        "finish_reason",
        "finishReason",
        "format",
        "function",
        "function_call",
        "functionCall",
        "grounding_metadata",
        "id",
        "image",
        "image_mimetype",
        "incomplete_details",
        "index",
        "input",
        "instructions",
        "item",
        "item_id",
        "items",
        "last_token_time",
        "logprobs",
        "message",
        "messages",
        "model",
        "modelVersion",
        "model_version",
        "name",
        "namespace",
        "num_tokens",
        "obfuscation",
        "object",
        "output",
        "output_index",
        "output_text",
        "output_tokens_details",
        "param",
        "parsed",
        "part",
        "partial_json",
        "parts",
        "path",
        "phase",
        "previous_response_id",
        "prompt_cache_retention",
        "queries",
        "quote",
        "raw",
        "reason",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "redacted_thinking",
        "refusal",
        "response",
        "response_id",
        "responseId",
        "results",
        "role",
        "schema",
        "sequence_number",
        "server_label",
        "service_tier",
        "signature",
        "source",
        "start_index",
        "status",
        "stop_reason",
        "stop_sequence",
        "summary",
        "summary_index",
        "system_fingerprint",
        "text",
        "thinking",
        "thinking_delta",
        "thought",
        "thought_signature",
        "thoughtSignature",
        "title",
        "token",
        "tokens",
        "tool",
        "tool_call",
        "tool_call_id",
        "tool_call_ids",
        "tool_calls",
        "tool_choice",
        "tool_kwargs",
        "tool_name",
        "tool_outputs",
        "tools",
        "top_logprobs",
        "transcript",
        "truncation",
        "type",
        "url",
        "usage",
        "usage_metadata",
        "usageMetadata",
        "verbosity",
        "video",
        "video_mimetype",
        "additional_information",
        "additional_kwargs",
        "built_in_tool_calls",
        "blocks",
        "data",
        "effort",
    ]
)
"""The fields of messages, chunks and what the provider said that are written."""

_WHOLE = frozenset(
    [
        "arguments",
        "input",
        "args",
        "tool_kwargs",
        "usage",
        "usage_metadata",
        "usageMetadata",
        "parsed",
        "logprobs",
    ]
)
"""Fields whose own fields have any name: tool arguments, counters."""

_SECRET_NAME = re.compile(
    r"(?i)(api[-_]?key|authorization|password|passwd|secret|access[-_]?token|auth[-_]?token"
    r"|bearer|credential)"
)
SCRUBBED = "[scrubbed]"
"""The text that replaces a secret."""


def kept(value: Any, *, whole: bool = False) -> Any:
    """A JSON value with the fields only that may be written.

    Args:
        value: the value.
        whole: whether fields of any name are kept; only those named like a secret are blanked.
    """
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {
            name: _secret(name, item) or kept(item, whole=whole or name in _WHOLE)
            for name, item in items
            if whole or name in _KEPT or not _says_anything(item)
        }
    if isinstance(value, list):
        return [kept(item, whole=whole) for item in cast("list[Any]", value)]
    return value


def _secret(name: str, value: Any) -> str | None:
    named = isinstance(value, str) and value and _SECRET_NAME.search(name)
    return SCRUBBED if named else None


def _says_anything(value: Any) -> bool:
    return isinstance(value, str | list | dict) and bool(cast("Any", value))
