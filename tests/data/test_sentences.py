from parlando.data.sentences import plain_sentences, sentence_key, spoken_sentences


def test_a_sentence_is_its_letters_in_any_script():
    assert sentence_key("  It's a DAY -- 3 o'clock!") == "it s a day o clock"
    assert sentence_key("今天，天气很好。") == "今天 天气很好"
    assert sentence_key("Él comió.") == "él comió"


def test_only_plain_sentences_of_fit_length_pass():
    lines = [
        "  It’s a “fine” day.  ",
        "Route 66 is long.",
        "Short.",
        "One — two--three.",
        "No stop here",
        "ÉCOLE is out.",
    ]
    assert list(plain_sentences(lines)) == ["It's a fine day.", "One - two, three.", "No stop here"]


def test_long_lines_are_cut_at_their_marks_and_half_clauses_left_out():
    sentence = "One thing is clear to all of us who stood there in the rain that night."
    pieces = plain_sentences([f"{sentence} Then came a wind; it blew for days on end, until it ended."])
    assert list(pieces) == [sentence, "until it ended."]


def test_spoken_sentences_have_their_numbers_and_signs_in_words():
    lines = ["It’s 5 o'clock — pay $3.", "  ", "7", "!"]
    assert list(spoken_sentences(lines, "en")) == ["It's five o'clock, pay three dollars.", "seven"]
    assert list(spoken_sentences(["12 个人。"], "zh")) == ["十二个人。"]
    assert list(spoken_sentences(["¿Cómo   estás?"], "es")) == ["¿Cómo estás?"]


def test_long_lines_are_cut_between_sentences():
    sentence = "This is a sentence of some length that is said in one breath. "
    assert list(spoken_sentences([sentence * 6], "en")) == [(sentence * 6).strip()]
    assert list(spoken_sentences([sentence * 10], "en")) == [sentence.strip()] * 10
