"""The families, one folder each, and the registry that names them."""
