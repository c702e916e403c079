"""Messages keep the published fields and flatten to parts."""

from __future__ import annotations

from parlando.models.higgs.chatml import AudioContent, ChatMLSample, Message, TextContent


def test_published_fields_and_defaults():
    assert vars(AudioContent(audio_url="a.wav")) == {
        "audio_url": "a.wav", "raw_audio": None, "offset": None, "duration": None, "row_id": None, "type": "audio",
    }  # fmt: skip
    assert vars(TextContent(text="x")) == {"text": "x", "type": "text"}
    sample = ChatMLSample(messages=[Message(role="user", content="x")])
    assert (sample.start_index, sample.misc, sample.speaker) == (None, None, None)
    assert sample.messages[0].recipient is None


def test_parts_wrap_strings_and_keep_order():
    clip = AudioContent(audio_url="a.wav")
    assert Message("user", "x").parts() == [TextContent("x")]
    assert Message("user", clip).parts() == [clip]
    assert Message("user", ["x", clip, TextContent("y")]).parts() == [TextContent("x"), clip, TextContent("y")]
