"""Measure what the system says: protocols, metrics and reports; the heavy judges come with the extra ``eval``."""
