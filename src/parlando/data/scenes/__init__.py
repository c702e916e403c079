"""Simulated scenes of a packed corpus, whose truth is known: rooms, telephone, noise, music, events, speakers."""
