"""Scripts: the turns of an LLM, made of parts."""
