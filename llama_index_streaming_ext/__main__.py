"""`python -m llama_index_streaming_ext`: the command line."""

import sys

from llama_index_streaming_ext.cli import main

if __name__ == "__main__":
    sys.exit(main())
