"""Corpora: synthetic teachers, recordings and their phone times, packed for training."""
