"""Streams of LlamaIndex that any number of readers can follow, that always end and say how."""
