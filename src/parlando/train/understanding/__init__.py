"""Training of understanding."""
