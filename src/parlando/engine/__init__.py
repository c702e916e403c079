"""Continuous batching: sessions join and leave one language model between its steps. Knows no family and no tensor."""
