"""Distances between a recording and its copy, without a judge."""
