from tiny_corpus import write_corpus

from parlando.data.card import write_card
from parlando.data.synthesise import LeftOut, leave_out
from parlando.data.teachers.flite import Flite


def test_a_card_says_what_is_there_what_made_it_and_what_is_not(tmp_path):
    manifest = write_corpus(tmp_path / "corpus", seconds=60)
    leave_out(manifest.parent, [LeftOut("x", "slt", "No.", "misheard"), LeftOut("y", "slt", "No!", "misheard")])
    card = write_card(manifest, Flite())
    assert card == tmp_path / "corpus" / "card.md"
    text = card.read_text(encoding="utf-8")
    assert text.startswith("# corpus\n\n0.20 h of synthetic speech by flite: 12 sentences, 2 speakers.")
    assert "- Flite and its voices, Carnegie Mellon University: free, without restriction (apt: libflite1)" in text
    assert "12 of 14 sentences kept (85.7%); 2 misheard. No judge has heard it." in text
    assert "| slt | a voice of Flite | en | 6 | 6.0 |" in text
