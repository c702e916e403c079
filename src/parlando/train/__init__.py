"""Training of the codec and the language model, each a task of one loop."""
