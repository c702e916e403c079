"""Voice conversion: what one recording says, as it says it, in another voice; streamed while it is made."""

import numpy as np

import parlando
from parlando.audio.files import write_audio

synthesizer = parlando.load("cosyvoice-mini")
names = list(synthesizer.voices)
synthesizer.say("Nobody said this sentence in the voice that you will hear.", names[0], seed=5).save("source.wav")

converted = synthesizer.convert("source.wav", names[-1])
converted.save("converted.wav")
pieces = [chunk.samples for chunk in synthesizer.stream_conversion("source.wav", names[-1])]
write_audio("streamed.wav", np.concatenate(pieces), synthesizer.sample_rate)
print(f"{converted.duration_seconds:.1f} s in the voice of {converted.voice}, in {len(pieces)} pieces")
