"""Trainings of the Higgs family."""
