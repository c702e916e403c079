"""Judges: what hears a clip and says words, a mark, whose voice it is, what happens in it, or how it feels."""
