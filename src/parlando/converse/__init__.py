"""Conversation: who speaks when, what is answered and in which manner; no model of speech is known here."""
