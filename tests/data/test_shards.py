import json

import numpy as np
import pytest
from tiny_corpus import RATE, SENTENCES, write_clip, write_corpus

from parlando.core.errors import AudioError, ConfigError, FileMissingError
from parlando.data.details import Details, details_path
from parlando.data.manifest import Utterance, append_manifest
from parlando.data.sentences import sentence_key
from parlando.data.shards import PHONES, UNKNOWN_PHONE, PackConfig, PackedCorpus, pack, split_of

PAU, S, IY = (PHONES.index(name) for name in ("pau", "s", "iy"))


@pytest.fixture(autouse=True)
def quick(request):
    if "slow" not in request.keywords:
        request.getfixturevalue("in_this_process")


def pack_one(tmp_path, clip, hertz=300.0, sample_rate=RATE):
    append_manifest(tmp_path / "m.jsonl", [write_clip(tmp_path, clip, hertz, sample_rate)])
    pack([tmp_path / "m.jsonl"], tmp_path / "out")
    corpus = PackedCorpus(tmp_path / "out")
    return corpus, corpus.entries[0]


def frequency(wave, sample_rate):
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return spectrum.argmax() * sample_rate / len(wave)


def test_splits_depend_on_the_sentence_alone():
    test = {sentence_key("The sun is warm.")}
    assert split_of("the SUN is warm", test) == "test"
    splits = [split_of(f"sentence {'abcdefghijklmnopqrst'[i]} {'ab' * j}", test) for i in range(20) for j in range(100)]
    assert 8 <= splits.count("validation") <= 35
    assert splits.count("train") + splits.count("validation") == 2000
    assert splits == [
        split_of(f"Sentence {'ABCDEFGHIJKLMNOPQRST'[i]}: {'ab' * j}.", test) for i in range(20) for j in range(100)
    ]


def test_recordings_without_words_are_split_by_what_they_are_called():
    splits = [split_of("", (), wordless=f"music_{number}") for number in range(2000)]
    assert 8 <= splits.count("validation") <= 35
    assert splits.count("train") + splits.count("validation") == 2000


def test_the_kind_of_a_recording_is_packed(tmp_path, in_this_process):
    rows = [
        write_clip(tmp_path, Utterance(kind, f"{kind}.wav", "", "", "", 0.3, kind=kind)) for kind in ("music", "sound")
    ]
    append_manifest(tmp_path / "m.jsonl", rows)
    pack([tmp_path / "m.jsonl"], tmp_path / "packed")
    assert [entry.kind for entry in PackedCorpus(tmp_path / "packed").entries] == ["music", "sound"]


def test_clips_become_24_khz_whole_frames_and_keep_their_pitch(tmp_path):
    clip = Utterance("a", "a.wav", "ada", "en", "Yes.", 0.5)
    corpus, entry = pack_one(tmp_path, clip, hertz=300.0)
    assert (entry.samples, entry.samples % 960) == (12_480, 0)
    wave = corpus.samples(entry)
    assert wave.dtype == np.float32
    assert frequency(wave[:12_000], 24_000) == pytest.approx(300, abs=2)
    assert not wave[12_000:].any()
    assert (corpus.labels(entry) == UNKNOWN_PHONE).all()


def test_levels_are_made_equal(tmp_path):
    corpus, entry = pack_one(tmp_path, Utterance("a", "a.wav", "ada", "en", "Yes.", 0.48))
    assert np.sqrt(np.square(corpus.samples(entry)).mean()) == pytest.approx(0.06, rel=0.01)


def test_a_click_in_silence_is_not_raised_past_its_peak(tmp_path):
    import soundfile

    wave = np.zeros(16_000, np.float32)
    wave[8_000:8_040] = 0.2
    soundfile.write(tmp_path / "a.wav", wave, RATE)
    append_manifest(tmp_path / "m.jsonl", [Utterance("a", "a.wav", "ada", "en", "Yes.", 1.0)])
    pack([tmp_path / "m.jsonl"], tmp_path / "out")
    corpus = PackedCorpus(tmp_path / "out")
    assert np.abs(corpus.samples(corpus.entries[0])).max() == pytest.approx(0.95, abs=0.002)


def test_stereo_becomes_its_mean(tmp_path):
    import soundfile

    time = np.arange(24_000) / 24_000
    kept, cancelled = (0.2 * np.sin(2 * np.pi * hertz * time) for hertz in (500, 2_000))
    soundfile.write(tmp_path / "a.wav", np.stack([kept + cancelled, kept - cancelled], 1), 24_000)
    append_manifest(tmp_path / "m.jsonl", [Utterance("a", "a.wav", "ada", "en", "Yes.", 1.0)])
    pack([tmp_path / "m.jsonl"], tmp_path / "out")
    corpus = PackedCorpus(tmp_path / "out")
    spectrum = np.abs(np.fft.rfft(corpus.samples(corpus.entries[0])))
    assert spectrum[500] > 500
    assert spectrum[2_000] < 1


def test_pauses_at_both_ends_are_cut_and_labels_stay_in_place(tmp_path):
    phones = (("pau", 0.3), ("s", 0.5), ("iy", 0.9), ("xx", 1.0), ("pau", 1.5))
    corpus, entry = pack_one(tmp_path, Utterance("a", "a.wav", "ada", "en", "See.", 1.5, phones))
    first, last = 0.3 - 0.04, 1.0 + 0.1
    assert entry.samples == -(-int((last - first) * 24_000) // 960) * 960
    centres = first + (np.arange(entry.samples // 480) + 0.5) * 0.02
    expected = np.select(
        [centres <= 0.3, centres <= 0.5, centres <= 0.9, centres <= 1.0], [PAU, S, IY, UNKNOWN_PHONE], PAU
    )
    assert corpus.labels(entry).tolist() == expected.reshape(-1, 2).tolist()


def test_two_clips_lie_one_after_the_other(packed):
    assert [e.start for e in packed.entries] == np.cumsum([0, *(e.samples for e in packed.entries[:-1])]).tolist()
    second = packed.entries[1]
    part = packed.samples(second, 960, 1_920)
    assert np.array_equal(part, packed.samples(second)[960:2_880])
    assert len(packed.samples(second, second.samples - 10, 100)) == 10
    assert {len(packed.labels(e)) * 960 - e.samples for e in packed.entries} == {0}


def test_a_sentence_has_one_split_in_every_voice(packed):
    marked = [e for e in packed.entries if e.split == "test"]
    assert sorted(e.speaker for e in marked) == ["rms", "slt"]
    assert {e.text for e in marked} == {SENTENCES[1]}


def test_an_unfinished_corpus_is_not_opened(tmp_path):
    write_corpus(tmp_path / "source", ("slt",))
    pack([tmp_path / "source" / "manifest.jsonl"], tmp_path / "out")
    (tmp_path / "source" / "audio" / "slt_3.wav").write_bytes(b"broken")
    with pytest.raises(AudioError, match=r"slt_3\.wav' cannot be read as audio"):
        pack([tmp_path / "source" / "manifest.jsonl"], tmp_path / "out")
    with pytest.raises(FileMissingError, match=r"no packed corpus at '.*pack\.json'"):
        PackedCorpus(tmp_path / "out")
    with pytest.raises(FileMissingError, match=r"no packed corpus at '.*index\.jsonl'"):
        PackedCorpus(tmp_path)


def test_a_strange_setting_of_a_corpus_is_named(tmp_path):
    write_corpus(tmp_path / "source", ("slt",))
    pack([tmp_path / "source" / "manifest.jsonl"], tmp_path / "out", config=PackConfig(16_000, 640))
    assert PackedCorpus(tmp_path / "out").config == PackConfig(16_000, 640)
    (tmp_path / "out" / "pack.json").write_text(json.dumps({"sample_rat": 1}))
    with pytest.raises(ConfigError, match=r"unknown key 'sample_rat'.*'sample_rate'"):
        PackedCorpus(tmp_path / "out")


@pytest.mark.parametrize(
    ("seconds", "hertz", "message"),
    [(0.0, 300.0, r"a\.wav': it holds no samples"), (0.5, 0.0, r"nothing is spoken in '.*a\.wav'")],
)
def test_a_clip_of_nothing_is_named(tmp_path, seconds, hertz, message):
    with pytest.raises(AudioError, match=message):
        pack_one(tmp_path, Utterance("a", "a.wav", "ada", "en", "Yes.", seconds), hertz)


@pytest.mark.slow
def test_packing_with_worker_processes_keeps_the_order(tmp_path):
    manifest = write_corpus(tmp_path / "source", ("slt",), seconds=0.2)
    assert pack([manifest], tmp_path / "out") == 6
    assert [e.id for e in PackedCorpus(tmp_path / "out").entries] == [f"slt_{i}" for i in range(6)]


def test_a_teachers_pitch_energy_and_words_are_packed_with_its_samples(tmp_path):
    phones = (("pau", 0.3), ("s", 0.9), ("pau", 1.2))
    clips = [Utterance(name, f"{name}.wav", "ada", "en", "Yes.", 1.2, phones) for name in ("a", "b")]
    for clip in clips:
        write_clip(tmp_path, clip)
    track = np.where(np.arange(96) < 40, 0.0, np.arange(96))  # 80 values a second
    Details((), (("Yes", 0.3, 0.9),), track, track / 2, 80.0).save(details_path(tmp_path / "a.wav"))
    append_manifest(tmp_path / "m.jsonl", clips)
    pack([tmp_path / "m.jsonl"], tmp_path / "out")
    corpus = PackedCorpus(tmp_path / "out")
    first, second = corpus.entries
    assert (first.words, second.words) == ((("Yes", 0.04, 0.64),), ())
    tracks = corpus.tracks(first)
    assert tracks.shape == (first.samples // 960, 4, 2)
    flat = tracks.reshape(-1, 2)
    places = np.floor((0.26 + np.arange(len(flat)) * 0.01) * 80 + 1e-6).astype(int)
    assert flat[:, 0].tolist() == track[places].tolist()
    assert flat[:, 1].tolist() == (track / 2)[places].tolist()
    assert corpus.tracks(second) is None


def test_without_a_teacher_that_tells_them_no_tracks_are_kept(packed):
    assert not (packed.folder / "tracks.f16").exists()
    assert packed.tracks(packed.entries[0]) is None
    assert packed.entries[0].words == ()
