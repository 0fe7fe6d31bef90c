"""The provider's wire: from a script to its chunks and bytes, and back."""
