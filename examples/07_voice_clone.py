"""A voice from a recording: any clip of 5 to 15 s and its words; here the package's own speech stands in for one."""

import parlando

synthesizer = parlando.load()
words = "The morning train to the coast was late again, and nobody on the platform seemed to mind."
synthesizer.say(words, voice=list(synthesizer.voices)[-1], seed=1).save("reference.wav")

voice = synthesizer.clone("reference.wav", words, name="guest")
parlando.write_voice("guest.json", voice)
synthesizer.say("This sentence is new, but the voice should be known.", parlando.read_voice("guest.json"), seed=4).save(
    "clone.wav"
)
print(f"{voice.name}: {voice.references[0].codes.shape[1]} frames of reference")
