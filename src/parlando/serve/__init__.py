"""The server: one application, and one thin adapter per protocol onto the one stream of `speech`."""
