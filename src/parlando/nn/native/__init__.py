"""Compiled decoding for processors, where a compiler was found; without it everything runs in PyTorch."""
