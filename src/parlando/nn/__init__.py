"""Blocks with a name in the literature, and no family word in them."""
