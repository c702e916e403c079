"""Cross-lingual: the sound of a recording without its words, for text in another language, with sounds and stress."""

import parlando

synthesizer = parlando.load("cosyvoice-mini")
synthesizer.say("This recording stands in for yours, in whatever language.", seed=1).save("reference.wav")

voice = synthesizer.clone("reference.wav", name="guest")
text = "He told the story again, [laughter] and everybody <strong>knew</strong> how it ended. [breath] Nobody minded."
synthesizer.say(text, voice, language="en", seed=2).save("cross_lingual.wav")
