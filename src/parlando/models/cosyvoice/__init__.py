"""CosyVoice2: a text-speech language model, flow matching and a source-filter vocoder."""
