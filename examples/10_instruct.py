"""Instructions: the same voice and words, spoken as a sentence in natural language says."""

import parlando

synthesizer = parlando.load("cosyvoice-mini")
text = "The boats are out already, and the gulls follow them."
for name, instruction in (("plain", None), ("slow", "Speak slowly."), ("happy", "Speak happily.")):
    speech = synthesizer.say(text, instruction=instruction, seed=3)
    speech.save(f"instruct_{name}.wav")
    print(f"{name}: {speech.duration_seconds:.1f} s")
