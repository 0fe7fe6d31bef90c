"""What an LLM is to say: turns, made of parts, in order."""
