"""The protocols: each takes systems and a list, and gives one report."""
