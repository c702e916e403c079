"""What only this family is made of: flow, vocoder, encoders, text in turn with speech, and the published files."""
