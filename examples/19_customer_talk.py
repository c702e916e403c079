"""Customer service by voice: how strongly a caller feels, from 0 to 1, decides how calmly they are answered."""

import numpy as np

import parlando
from parlando.audio.clip import Clip
from parlando.audio.files import write_audio
from parlando.converse.arousal import Arousal
from parlando.converse.conversation import Conversation
from parlando.converse.devices import Recording
from parlando.converse.echo import Echo
from parlando.converse.manner import Manner, Manners
from parlando.converse.partner import Partner
from parlando.converse.speaking import speaker
from parlando.converse.turns import TurnTaker


class Ears:
    """Stands for a recogniser and for an emotion model: the louder a caller, the stronger the emotion."""

    def hear(self, clip, language):
        return "My parcel has not come."

    def feel(self, clip):
        level = min(1.0, 4 * float(np.sqrt(np.square(clip.samples).mean())))
        return Arousal("upset" if level > 0.7 else "calm" if level < 0.3 else "neutral")


manners = Manners({"upset": Manner(speed=0.85, note="Say sorry first."), "calm": Manner(speed=1.05)})
with parlando.load() as synthesizer:
    caller = synthesizer.say("My parcel has not come.", seed=1)
    agent, sink = Partner(Echo(), Ears(), Ears(), manners), Recording(synthesizer.sample_rate)
    talk = Conversation(agent, speaker(synthesizer, None, {"seed": 1}), sink, TurnTaker(caller.sample_rate), print)
    talk.answer(Clip(caller.samples, caller.sample_rate))
    talk.wait()
    write_audio("answer.wav", sink.samples, sink.sample_rate)
