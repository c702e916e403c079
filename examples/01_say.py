"""Basic text-to-speech: six lines from import to a saved file."""

import parlando

synthesizer = parlando.load()
speech = synthesizer.say("The sun rises in the east and sets in the west.", seed=7)
speech.save("say.wav")
print(f"{speech.duration_seconds:.1f} s in the voice of {speech.voice}, real-time factor {speech.real_time_factor:.2f}")
