"""Higgs Audio v2: language model, tokenizer, prompts, decoder, and how checkpoints are read and written."""
