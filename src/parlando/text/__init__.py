"""Text to what can be spoken: normalisation, segmentation, tags, lexicon. No torch here."""
