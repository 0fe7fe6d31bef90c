"""The file format of a cassette: its fields, values and chunks, and the secrets kept out of it."""
