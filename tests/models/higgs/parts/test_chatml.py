"""Messages keep the published fields, and both layouts render the published strings byte for byte."""

from __future__ import annotations

import pytest

from parlando.core.errors import InputError
from parlando.models.higgs.parts.chatml import (
    ANSWER,
    GENERATE_INSTRUCTION,
    MULTI_SPEAKER_INSTRUCTION,
    SPEAK,
    AudioContent,
    ChatMLSample,
    Message,
    TextContent,
    pieces,
    system_content,
)

CLIP = AudioContent(audio_url="a.wav")


def header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def test_published_fields_and_defaults():
    assert vars(AudioContent(audio_url="a.wav")) == {
        "audio_url": "a.wav", "raw_audio": None, "offset": None, "duration": None, "row_id": None, "type": "audio",
    }  # fmt: skip
    assert vars(TextContent(text="x")) == {"text": "x", "type": "text"}
    sample = ChatMLSample(messages=[Message(role="user", content="x")])
    assert (sample.start_index, sample.misc, sample.speaker) == (None, None, None)
    assert sample.messages[0].recipient is None


def test_parts_wrap_strings_and_keep_order():
    assert Message("user", "x").parts() == [TextContent("x")]
    assert Message("user", CLIP).parts() == [CLIP]
    assert Message("user", ["x", CLIP, TextContent("y")]).parts() == [TextContent("x"), CLIP, TextContent("y")]


def test_original_clone_without_scene():
    messages = [Message("user", "REF"), Message("assistant", CLIP), Message("user", "TARGET")]
    assert "".join(pieces(messages, "original", SPEAK)) == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nREF<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|><|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nTARGET<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>"
    )


def test_original_reference_in_system():
    content = system_content(GENERATE_INSTRUCTION, "SCENE", [("SPEAKER0", CLIP), ("SPEAKER1", CLIP)])
    assert "".join(pieces([Message("system", content)], "original")) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nGenerate audio following instruction.\n\n"
        "<|scene_desc_start|>\nSCENE\n\nSPEAKER0: <|audio_bos|><|AUDIO|><|audio_eos|>\n"
        "SPEAKER1: <|audio_bos|><|AUDIO|><|audio_eos|>\n<|scene_desc_end|><|eot_id|>"
    )


def test_original_pieces_are_separate_where_the_published_tokenisation_separates_them():
    messages = [Message("system", "S"), Message("user", ["a ", CLIP, " b"])]
    assert pieces(messages, "original", ANSWER) == [
        "<|begin_of_text|>" + header("system"), "S", "<|eot_id|>",
        header("user"), "a ", "<|audio_bos|><|AUDIO|><|audio_eos|>", " b", "<|eot_id|>", ANSWER,
    ]  # fmt: skip


def test_original_consecutive_assistant_turns_end_in_eom_and_recipients_come_first():
    messages = [Message("assistant", "a", recipient="user"), Message("assistant", "b"), Message("user", "c")]
    assert "".join(pieces(messages, "original")) == (
        f"<|begin_of_text|>{header('assistant')}user<|recipient|>a<|eom_id|>"
        f"{header('assistant')}b<|eot_id|>{header('user')}c<|eot_id|>"
    )


@pytest.mark.parametrize(
    ("scene", "speakers", "expected"),
    [
        (None, [], "I"),
        ("quiet", [], "I\n\n<|scene_desc_start|>\nquiet\n<|scene_desc_end|>"),
        (
            None,
            [("SPEAKER0", "feminine"), ("SPEAKER1", "masculine")],
            "I\n\n<|scene_desc_start|>\nSPEAKER0: feminine\nSPEAKER1: masculine\n<|scene_desc_end|>",
        ),
        (
            "quiet",
            [("SPEAKER0", "x")],
            "I\n\n<|scene_desc_start|>\nquiet\n\nSPEAKER0: x\n<|scene_desc_end|>",
        ),
    ],
)
def test_system_content(scene, speakers, expected):
    assert system_content("I", scene, speakers) == [expected]


def test_multi_speaker_instruction_is_three_sentences_on_three_lines():
    lines = MULTI_SPEAKER_INSTRUCTION.split("\n")
    assert [line[:12] for line in lines] == ["You are an A", "If the user'", "If no speake"]
    assert len(MULTI_SPEAKER_INSTRUCTION) == 272


def test_transformers_is_one_trimmed_string():
    messages = [Message("system", " S \n"), Message("user", [" a ", TextContent(" b")]), Message("assistant", CLIP)]
    assert pieces(messages, "transformers", SPEAK) == [
        f"<|begin_of_text|>{header('system')}S<|eot_id|>{header('user')}ab<|eot_id|>"
        f"{header('assistant')}<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|><|eot_id|>"
        f"{header('assistant')}<|audio_out_bos|>"
    ]


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (" quiet ", "quiet"),
        ([TextContent("quiet "), TextContent("SPEAKER0: x"), TextContent("SPEAKER1: y")],
         "quiet\n\nSPEAKER0: x\nSPEAKER1: y"),
        ([TextContent("quiet"), TextContent("SPEAKER0:"), CLIP, TextContent("SPEAKER1:"), CLIP],
         "quiet\n\nSPEAKER0: <|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>\n"
         "SPEAKER1: <|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>"),
        ([TextContent("SPEAKER0:"), CLIP], "SPEAKER0:\n\n <|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>"),
    ],
)  # fmt: skip
def test_transformers_scene_role_is_folded_into_the_system_turn(scene, expected):
    rendered = pieces([Message("system", " S"), Message("scene", scene), Message("user", "u")], "transformers")[0]
    assert rendered == (
        f"<|begin_of_text|>{header('system')}S\n\n<|scene_desc_start|>\n{expected}\n<|scene_desc_end|><|eot_id|>"
        f"{header('user')}u<|eot_id|>"
    )


def test_transformers_renders_clips_of_system_and_user_as_output_audio():
    content = system_content(GENERATE_INSTRUCTION, None, [("SPEAKER0", CLIP)])
    rendered = pieces([Message("system", content), Message("user", ["u", CLIP])], "transformers")[0]
    assert "SPEAKER0: <|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>\n<|scene_desc_end|><|eot_id|>" in rendered
    assert rendered.endswith("u<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|><|eot_id|>")


def test_transformers_supplies_the_system_message_it_needs():
    assert GENERATE_INSTRUCTION in pieces([Message("user", "u")], "transformers")[0]


def test_what_a_layout_cannot_say_is_refused():
    with pytest.raises(InputError, match="exactly one clip"):
        pieces([Message("system", "s"), Message("assistant", "text")], "transformers")
    with pytest.raises(InputError, match="no messages"):
        pieces([], "original")
