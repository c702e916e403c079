"""Many texts at once: the engine steps them together, and each sounds as it would alone."""

import parlando

LINES = [
    "The kettle is on.",
    "There are three letters on the table for you.",
    "Please close the window before you go.",
    "We will meet again at half past seven.",
]
synthesizer = parlando.load()
for number, speech in enumerate(synthesizer.say_many(LINES, seed=2)):
    speech.save(f"batch_{number}.flac")
    print(f"{speech.duration_seconds:.1f} s: {speech.text}")
print(f"mean batch {synthesizer.engine.metrics().mean_batch:.1f}")
