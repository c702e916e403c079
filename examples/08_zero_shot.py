"""Zero-shot: a recording and its words, continued in the same voice and manner; here the package's own speech."""

import parlando

synthesizer = parlando.load("cosyvoice-mini")
words = "The morning train to the coast was late again, and nobody on the platform seemed to mind."
synthesizer.say(words, voice=list(synthesizer.voices)[-1], seed=1).save("reference.wav")

voice = synthesizer.clone("reference.wav", words, name="guest")
parlando.write_voice("guest.json", voice)
speech = synthesizer.say("This sentence is new, but the voice should be known.", parlando.read_voice("guest.json"))
speech.save("zero_shot.wav")
print(f"{speech.duration_seconds:.1f} s in the voice of {speech.voice}")
