"""Any LLM, made well-behaved."""
