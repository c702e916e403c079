"""How fast things are, next to a peer in the same run."""
