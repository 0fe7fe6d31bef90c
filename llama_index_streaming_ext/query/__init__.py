"""Query and chat engines whose every call streams."""
