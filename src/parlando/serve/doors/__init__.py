"""One module per protocol. None of them knows an engine or a family of models."""
