"""Markup within a line, none of which is read: tags of HTML, emphasis, code, sounds in brackets, rows of signs."""

from __future__ import annotations

import re

_ELEMENTS = (
    "abbr|address|article|aside|audio|bdi|bdo|big|blockquote|body|br|button|caption|center|cite|code|col|dd|del"
    "|details|dfn|div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|iframe|img|input|ins"
    "|kbd|label|li|link|main|mark|meta|nav|ol|option|picture|pre|samp|script|section|select|small|source|span"
    "|strike|strong|style|sub|summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|time|title|tr|tt|ul|var|video"
    "|wbr|laughter|laugh|breath|cough|sigh"
)
_ONE_LETTER = "[abipqsu]"
_VALUED = r"(?:\s+[\w:@.-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>=]+))+"
_PARTING = r"</(?:p|div|li|h[1-6]|tr|td|th|dd|dt|blockquote)>|<[bh]r\s*/?>"

_LONGEST_NAME = 40
_NAME = r"[a-z][\w:-]{0,39}"
_VERBS = (
    "laughs|chuckles|giggles|sighs|coughs|gasps|sniffs|sniffles|sobs|sneezes|yawns|groans|clears (?:his |her |their "
    ")?throat"
)
_NOUNS = (
    "laugh(?:ter|ing|s)?|chuckl(?:es?|ing)|giggl(?:es?|ing)|sigh(?:s|ing)?|breath(?:s|e|es|ing)?|quick_breath"
    "|inhal(?:es?|ing)|exhal(?:es?|ing)|gasp(?:s|ing)?|cough(?:s|ing)?|sneez(?:es?|ing)|sniff(?:s|les?|ling|ing)?"
    "|sob(?:s|bing)?|cr(?:y|ies|ying)|yawn(?:s|ing)?|groan(?:s|ing)?|moan(?:s|ing)?|grunt(?:s|ing)?|snort(?:s|ing)?"
    "|scream(?:s|ing)?|hum(?:s|ming)?|whistl(?:es?|ing)|applau(?:se|ds|ding)|cheer(?:s|ing)?|clap(?:s|ping)?|music"
    "|sing(?:s|ing)?|(?:vocalized-|background )?noise|lip[ -]?smack(?:s|ing)?|mn|clucking|accent|hiss(?:es|ing)?"
    "|silence|pause|be+ps?|bleeps?|inaudible|indistinct|unintelligible|cross[ -]?talk|static|throat[ -]clearing"
    "|clear(?:s|ing) (?:his |her |their )?throat|whisper(?:s|ing)?|shout(?:s|ing)?"
)
_DOING = (
    "laughing|chuckling|giggling|sighing|coughing|gasping|sniffling|sobbing|sneezing|yawning|groaning|whispering"
    "|whispers|shouting|screaming|clearing (?:his |her |their )?throat"
)
_HOW = (
    "soft(?:ly)?|quiet(?:ly)?|loud(?:ly)?|nervous(?:ly)?|heav(?:y|ily)|deep(?:ly)?|brief(?:ly)?|light(?:ly)?|long"
    "|short|quick|audience"
)
_SOUND = rf"(?:(?:{_HOW}) )?(?:{_VERBS}|{_NOUNS})(?: (?:{_HOW}|start|end|starts|ends|stops|fades|playing|plays))?"

_ACTED = rf"(?:(?:{_HOW}) )?(?:{_VERBS}|{_DOING}|laughter|applause|inaudible)(?: (?:{_HOW}))?"
_MADE = "coughs?|sighs?|gasps?|giggles?|chuckles?|sniffs?|sniffles?|sobs?|sneezes?|yawns?|groans?"

_TAGS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"<!--.{0,2000}?-->", " "),
        (_PARTING, ", "),
        # What is stuck to a word may be a comparison (n<i>0), unless it is closed.
        (rf"<(?P<name>{_ONE_LETTER}|{_NAME})>(?=.*?</(?P=name)\s*>)", " "),
        (rf"</?(?:{_ELEMENTS})(?:\s*/)?>|<(?:{_ELEMENTS}){_VALUED}\s*/?>|</{_NAME}\s*>|(?<!\w)<{_ONE_LETTER}>", " "),
        (rf"<[a-z][\w:-]*{_VALUED}\s*/?>", " "),
        # The beginning of a pair that ends in a later sentence, and what a type is of.
        (rf"(?<!\w)<{_NAME}>(?=\w)", " "),
        (rf"(?<=\w)<({_NAME})>(?=\s|$)", r" \1"),
        (r"(?<=\bI )<3(?= (?:you|u|this|my|your)\b)", "love"),
        (rf"(?<![\w)])<([^\W\d_][^<>=\n]{{0,{_LONGEST_NAME}}}|#?\d[\w.,:/@-]{{0,{_LONGEST_NAME}}})>(?!\s?\d)", r"\1"),
    )
)
_BRACKETED = tuple(
    (re.compile(pattern, re.IGNORECASE), " ")
    for pattern in (
        rf"\[\s*(?:{_SOUND})\s*\]",
        rf"\(\s*{_ACTED}\s*\)",
        rf"\{{\s*(?:{_ACTED}|{_SOUND})\s*\}}",
        rf"\*(?:{_VERBS})\*",
        # What is emphasised within a sentence is said: he was *laughing*, a *sigh* of relief.
        rf"(?<!\w\s)(?<![\w*])\*(?:{_ACTED}|{_MADE})\*",
    )
)
_CODE = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"``([^`\n]{1,200})''", r'"\1"'),
        (r"(?<![\w`])(`{1,3})(?!`)([^`\n]*[^`\n\s][^`\n]*)\1(?!`)", r"\2"),
        (r"(?<=[A-Za-z_])\(\)", ""),
        (r"(?<=[A-Za-z])`(?=(?:[sdmt]|ll|re|ve|em)\b)", "'"),
    )
)
_EMPHASIS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<![\w*])\*{1,3}(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*{1,3}(?![\w*])", r"\1"),
        (r"(?<![\w_])_{1,3}(?=[^\s_])([^_\n]+?)(?<=[^\s_])_{1,3}(?![\w_])", r"\1"),
        (r"~~([^~\n]+)~~", r"\1"),
        (r"\\(?=[*_`~#\[\]<>|])", ""),
    )
)
_ROW_OF_SIGNS = re.compile(r"[=*#~_<>^|+]{3,}|[-=*#~_<>^|+]{4,}")
_REPEATED = re.compile(r"([&@%$€£])\1+")
_SIGNS = frozenset("=*#~_<>^|+-")


def without_markup(text: str) -> str:
    """The text with its markup gone: what stands in unknown tags stays (``a <test>``), known ones and sounds go."""
    for sign, rules in (("`", _CODE), ("<", _TAGS), ("[({*", _BRACKETED), ("*_~\\", _EMPHASIS)):
        if any(character in text for character in sign):
            for pattern, replacement in rules:
                text = pattern.sub(replacement, text)
    if not _SIGNS.isdisjoint(text):
        text = _ROW_OF_SIGNS.sub(", ", text)
    return _REPEATED.sub(r"\1", text)
