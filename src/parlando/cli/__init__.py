"""The command line: thin commands over `speech`, heavy imports inside them."""
