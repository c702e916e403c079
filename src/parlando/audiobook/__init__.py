"""Audiobooks: a text or an EPUB, a voice for every character, chapters in one file."""
