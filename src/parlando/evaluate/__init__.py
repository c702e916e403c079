"""Measure what the system says: protocols, metrics and reports."""
