"""Audio as arrays and files: reading, writing, streaming, measuring, drawing."""
