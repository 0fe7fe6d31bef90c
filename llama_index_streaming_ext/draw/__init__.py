"""Pictures of workflows: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from llama_index_streaming_ext.draw.drawing import FlowDrawing, draw_all_possible_flows

__all__ = ["FlowDrawing", "draw_all_possible_flows"]
