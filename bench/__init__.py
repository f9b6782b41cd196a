"""Measurements against peers, both sides in the same run: `python -m bench`."""
