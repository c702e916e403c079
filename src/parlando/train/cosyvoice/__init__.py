"""Trainings of the CosyVoice family."""
