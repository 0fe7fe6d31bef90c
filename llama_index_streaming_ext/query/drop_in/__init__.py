"""Core's indexes and engines by their own names, whose answers stream."""
