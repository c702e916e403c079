"""A load on a server, and what simulated listeners hear of it."""
