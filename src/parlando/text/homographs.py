"""Words with several pronunciations (read, lead, lives, use …): which one is meant, told from the words beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from parlando.text.english_capitals import SPELLED
from parlando.text.lexicon import Phones, with_s
from parlando.text.rules import words
from parlando.text.wordclass import (
    ARTICLES,
    BE,
    DETERMINERS,
    HAVE,
    MODALS,
    POSSESSIVES,
    PREPOSITIONS,
    SINGULAR_SUBJECTS,
    SUBJECTS,
    Place,
)

Chosen = Callable[[Place], str | None]
"""The pronunciation of a word at a place, if it is not the one of the dictionary."""

# How they are said as verbs; the dictionary has the noun, or the adjective.
_VERBS = {
    "record": "r ih0 k ao1 r d", "present": "p r iy0 z eh1 n t", "object": "ax0 b jh eh1 k t",
    "project": "p r ax0 jh eh1 k t",
    "produce": "p r ax0 d uw1 s", "permit": "p er0 m ih1 t", "conduct": "k ax0 n d ah1 k t",
    "contract": "k ax0 n t r ae1 k t",
    "contrast": "k ax0 n t r ae1 s t", "convert": "k ax0 n v er1 t", "convict": "k ax0 n v ih1 k t",
    "decrease": "d ih0 k r iy1 s", "increase": "ih0 n k r iy1 s", "defect": "d ih0 f eh1 k t",
    "desert": "d ih0 z er1 t",
    "digest": "d ay0 jh eh1 s t", "discount": "d ih0 s k aw1 n t", "escort": "eh0 s k ao1 r t",
    "export": "ih0 k s p ao1 r t",
    "import": "ih0 m p ao1 r t", "extract": "ih0 k s t r ae1 k t", "impact": "ih0 m p ae1 k t",
    "insult": "ih0 n s ah1 l t",
    "insert": "ih0 n s er1 t", "perfect": "p er0 f eh1 k t", "protest": "p r ax0 t eh1 s t", "rebel": "r ih0 b eh1 l",
    "reject": "r ih0 jh eh1 k t", "subject": "s ax0 b jh eh1 k t", "survey": "s er0 v ey1",
    "suspect": "s ax0 s p eh1 k t",
    "torment": "t ao0 r m eh1 n t", "transfer": "t r ae0 n s f er1", "transport": "t r ae0 n s p ao1 r t",
    "upset": "ah0 p s eh1 t", "conflict": "k ax0 n f l ih1 k t", "combat": "k ax0 m b ae1 t",
    "compound": "k ax0 m p aw1 n d",
    "console": "k ax0 n s ow1 l", "contest": "k ax0 n t eh1 s t", "converse": "k ax0 n v er1 s",
    "discharge": "d ih0 s ch aa1 r jh",
    "house": "hh aw1 z", "abuse": "ax0 b y uw1 z", "misuse": "m ih0 s y uw1 z", "attribute": "ax0 t r ih1 b y uw0 t",
    "incense": "ih0 n s eh1 n s", "entrance": "eh0 n t r ae1 n s", "frequent": "f r iy0 k w eh1 n t",
    "compress": "k ax0 m p r eh1 s",
    "advocate": "ae1 d v ax0 k ey0 t", "alternate": "ao1 l t er0 n ey0 t", "appropriate": "ax0 p r ow1 p r iy0 ey0 t",
    "articulate": "aa0 r t ih1 k y ax0 l ey0 t", "associate": "ax0 s ow1 s iy0 ey0 t",
    "deliberate": "d ih0 l ih1 b er0 ey0 t",
    "duplicate": "d uw1 p l ax0 k ey0 t", "elaborate": "ih0 l ae1 b er0 ey0 t", "estimate": "eh1 s t ax0 m ey0 t",
    "graduate": "g r ae1 jh ax0 w ey0 t", "moderate": "m aa1 d er0 ey0 t", "separate": "s eh1 p er0 ey0 t",
    "coordinate": "k ow0 ao1 r d ax0 n ey0 t", "intimate": "ih1 n t ax0 m ey0 t", "animate": "ae1 n ax0 m ey0 t",
    "approximate": "ax0 p r aa1 k s ax0 m ey0 t", "aggregate": "ae1 g r ax0 g ey0 t", "address": "ax0 d r eh1 s",
    "ally": "ax0 l ay1", "wind": "w ay1 n d", "bow": "b aw1", "tear": "t eh1 r", "close": "k l ow1 z",
    "refuse": "r ih0 f y uw1 z",
    "excuse": "ih0 k s k y uw1 z", "use": "y uw1 z", "addict": "ax0 d ih1 k t", "annex": "ax0 n eh1 k s",
    "construct": "k ax0 n s t r ah1 k t",
}  # fmt: skip
# How they are said as nouns, where the dictionary has the verb.
_NOUNS = {
    "use": "y uw1 s", "excuse": "ih0 k s k y uw1 s", "refuse": "r eh1 f y uw0 s", "address": "ae1 d r eh0 s",
    "refund": "r iy1 f ah0 n d",
    "delegate": "d eh1 l ax0 g ax0 t", "affiliate": "ax0 f ih1 l iy0 ax0 t", "wind": "w ih1 n d", "bow": "b ow1",
    "tear": "t ih1 r",
    "wound": "w uw1 n d",
}  # fmt: skip
_MOSTLY_VERBS = words(
    "use refuse refuses convert converts excuse address refund refunds delegate delegates affiliate affiliates"
)

_TIME_PAST = words("yesterday ago last once earlier previously when then after before")
_METAL_AFTER = words(
    "pipe pipes paint paints poisoning bullet bullets weight weights roof roofs acid shot ore mine mines glass "
    "oxide crystal pencil pencils levels dust solder battery batteries apron free based contamination exposure "
    "compounds lined sheet sheets alloy balloon plates coffin seal toys salts shielding box fishing sinker type "
    "boots boot vest vests curtain curtains block blocks brick bricks bar bars ingot ingots cable cables foil "
    "soldier soldiers figurine collar azide acetate ammunition wire plumbing"
)
_METALS = words(
    "zinc copper tin mercury silver gold arsenic cadmium iron steel metal metals poison poisonous toxic heavy molten"
)
_LIVE_AFTER = words(
    "music concert concerts show shows broadcast broadcasts stream streams streaming audience audiences performance "
    "performances band bands album recording coverage television tv radio wire wires ammunition animals animal bait "
    "action event events version chat feed feeds report reports updates update footage video videos theater theatre "
    "rounds fish birds bird cattle lobsters demo session sessions game games interview interviews webcast debate "
    "data traffic demonstration entertainment match translation"
)
_SHOWN = words(
    "go goes going went gone broadcast aired air airing perform performed performing performs play played playing "
    "plays sing sang sung streamed streaming stream shown show recorded watch watched watching see seen saw reported "
    "reporting watching appear appeared tested heard hear covered carried televised"
)
_PLACE_AFTER = words(
    "in at here there near alone with next abroad on by under upstairs downstairs together outside inside below above"
)
_SAVED = words(
    "save saved saves saving lose lost losing cost costs claim claimed change changed changing risk risked risking "
    "take took taken taking improve improved human past other innocent people's nine countless millions thousands "
    "hundreds young whole entire double private personal daily everyday better happy peaceful busy lived spend spent "
    "ruined destroyed of for our real inner"
)
_OF_USE = words(
    "make made making makes heavy common land drug energy fair much single personal first everyday practical further "
    "wide widespread medical commercial public daily regular continued frequent extensive good efficient water "
    "direct effective proper illegal internet phone computer little alcohol"
)
_DEGREE = words(
    "very too so as how quite rather pretty extremely really more most such incredibly fairly stay stayed keep kept "
    "come came"
)
_MINUTE_AFTER = words(
    "amount amounts detail details particle particles quantity quantities difference differences fraction traces "
    "trace fragments organisms scale inspection examination proportion portion pieces crystals droplets variations "
    "holes creatures insects changes size attention specks grains"
)
_EYES = words(
    "eye eyes cheek cheeks face wept weep shed rolled fell cry cried crying wiped sad single gas duct ducts drop drops"
)
_CLOTH = words(
    "fabric muscle ligament paper shirt cloth sail jeans curtain skin sleeve tissue dress coat wear tendon rotator "
    "page seam"
)
_SHIP = words("ship ship's boat boat's vessel stern deck")
_SPEAKING = words("take took taken taking deep low final slight polite little graceful")
_DEER = words("deer buck bucks stag stags fawn fawns")
_OF_DEER = words("the these those my our their few")
_KINDS_OF_DEER = words("female pregnant grazing timid startled")
_BASS = words(
    "fish fishing sea striped caught catch catching largemouth smallmouth lake river boat grilled freshwater fisherman "
    "fishermen angler anglers pond reeled hooked swam swim swims swimming fillet fillets fried baked trout salmon"
)
_MUSIC_AFTER = words(
    "guitar guitars guitarist player players drum drums line lines clef solo solos singer voice note notes string "
    "strings amp part tone sound sounds boost speaker speakers"
)
_MUSIC_BEFORE = words("double electric upright acoustic play plays played playing deep slap sang sing sings")
_CONTENT_AFTER = words("with to just")
_FEEL = BE | words(
    "feel feels felt seem seems seemed look looks looked remain remained remains perfectly quite feeling became become"
)
_WIND_AFTER = words("up down it them around through along about past its")
_PATHS = words("road roads river rivers path paths trail trails stream streams stairs it that which lane lanes")
_WOUND_BEFORE = words("clock watch wool yarn bandage thread rope toy bobbin spool")
_WOUND = _WOUND_BEFORE | words("bandages gauze tape scarf string cord hose spring turban wire cable ribbon coil")
_WINDERS = words("he she it who")  # of an injury they would say "wounds"
_WOUND_AFTER = words("care healing infection infections dressing dressings closure treatment")


_OF_THE_ILL = words(
    "every each another old poor young helpless chronic permanent bedridden elderly lifelong rich hopeless "
    "confirmed dying"
)
_BEHIND_A_PERSON = words(
    "who whose that but since because when while needed needs said says lay lies sat sits lived lives slept sleeps "
    "wife husband mother father sister brother aunt uncle child chair chairs carriage"
)
_PAST = words("sat took went had was were came saw got stood")


def _read(place: Place) -> str | None:
    """Past after have and be, after a subject of the third person, and where the sentence tells of the past."""
    past = "r eh1 d"
    previous = place.previous
    if place.has(_HELPERS) and not {*place.before[-4:]}.isdisjoint(_HELPERS):
        return None
    if previous in HAVE or previous in BE or previous in ("well", "widely"):
        return past
    if previous in SUBJECTS or previous.endswith("s"):
        asked = not HAVE.isdisjoint(place.before[-3:])  # have you ever read
        return past if asked or place.has(_TIME_PAST) else None
    if not previous or previous in DETERMINERS - SINGULAR_SUBJECTS or previous in PREPOSITIONS:
        return None
    told = previous not in ("and", "or", "but") or any(word.endswith("ed") or word in _PAST for word in place.before)
    return past if told else None


_HELPERS = MODALS | words("let lets make makes made help helps hear see watch")


_WITH_METAL = words("contain contains contained containing molten")


def _lead(place: Place) -> str | None:
    metal = place.next in _METAL_AFTER or (place.previous in ("of", "like", "as") and not place.after)
    metal = metal or place.previous in _WITH_METAL
    named = place.next in ("and", "or", "into", "is") or place.previous in ("and", "or", "of", "molten")
    return "l eh1 d" if metal or (named and place.has(_METALS) and place.previous not in ARTICLES) else None


def _live(place: Place) -> str | None:
    if place.next in _LIVE_AFTER and place.previous not in MODALS | SUBJECTS:
        return "l ay1 v"
    if place.previous in _SHOWN or place.previous in BE or place.previous in ARTICLES:
        return "l ay1 v"
    return "l ay1 v" if place.has(_SHOWN) and not place.after and place.previous not in MODALS | SUBJECTS else None


def _lives(place: Place) -> str | None:
    previous, noun = place.previous, "l ay1 v z"
    if previous in POSSESSIVES - words("her") or previous in _SAVED or previous.endswith(("s'", "people's")):
        return noun
    if previous == "her":
        return noun
    if previous in SINGULAR_SUBJECTS or place.next in _PLACE_AFTER:
        return noun if previous in DETERMINERS - SINGULAR_SUBJECTS else None
    return None if place.is_verb(in_s=True) else noun


def _use(place: Place) -> str | None:
    previous, noun = place.previous, _NOUNS["use"]
    if previous in MODALS | SUBJECTS:
        return None
    if place.next == "of" or previous in _OF_USE or previous in DETERMINERS or previous in PREPOSITIONS:
        return noun
    return noun if previous in BE or previous.endswith("'s") else None


def _uses(place: Place) -> str | None:
    noun = place.previous in DETERMINERS - SINGULAR_SUBJECTS or place.next in ("of", "for", "include", "are", "were")
    return "y uw1 s ax0 z" if noun and place.previous not in SINGULAR_SUBJECTS else "y uw1 z ax0 z"


def _used(place: Place) -> str | None:
    if place.next != "to":
        return None
    following = place.after[1] if len(place.after) > 1 else ""
    accustomed = following in DETERMINERS or following in words("it him them us me being") or following.endswith("ing")
    return "y uw1 s t" if place.previous not in BE or accustomed else None


def _close(place: Place) -> str | None:
    verb, previous = _VERBS["close"], place.previous
    if place.next == "of" and previous in ("the", "at", "market"):
        return verb
    if place.next == "to" or previous in BE or (place.before and place.before[-1] in _DEGREE):
        return None
    if previous in MODALS | SUBJECTS:
        return verb
    acts = place.takes_object and previous not in DETERMINERS and previous not in PREPOSITIONS
    return verb if acts or place.is_verb() else None


def _wind(place: Place) -> str | None:
    if place.previous in MODALS | SUBJECTS or (not place.previous and place.takes_object):
        return _VERBS["wind"]
    winds = place.next in _WIND_AFTER and (place.previous in _PATHS or not place.previous)
    return _VERBS["wind"] if winds else None


def _winds(place: Place) -> str | None:
    return "w ay1 n d z" if place.next in _WIND_AFTER and place.previous in _PATHS else None


def _wound(place: Place) -> str | None:
    """The injury, unless somebody or something wound something, or was wound in it."""
    previous = place.previous
    if previous in DETERMINERS - SINGULAR_SUBJECTS or previous in MODALS:
        return _NOUNS["wound"]
    turned = not _WIND_AFTER.isdisjoint(place.after[:2]) or previous in _WINDERS or place.has(_WOUND_BEFORE)
    turned = turned or not _WOUND.isdisjoint(place.after[:3] if place.takes_object else place.after[:1])
    turned = turned or (previous in BE and place.next not in _WOUND_AFTER) or _is_past_of_one(place)
    return None if turned else _NOUNS["wound"]


def _is_past_of_one(place: Place) -> bool:
    """Whether a verb without an s has a single subject and an object: ``the nurse wound the cloth``."""
    others = SUBJECTS | PREPOSITIONS | words("and or")
    subject = place.previous not in others and place.previous[-1:] not in ("", "s")
    return subject and place.next in ARTICLES | POSSESSIVES


def _tear(place: Place) -> str | None:
    if place.previous in MODALS | SUBJECTS or place.next in words("up down apart off out open away into through"):
        return _VERBS["tear"]
    if place.has(_EYES):
        return None
    return _VERBS["tear"] if place.has(_CLOTH) or place.is_verb() else None


def _tears(place: Place) -> str | None:
    apart = place.next in words("up down apart off open at through the his her it")
    return "t eh1 r z" if apart and place.previous not in DETERMINERS | PREPOSITIONS else None


def _minute(place: Place) -> str | None:
    small = place.next in _MINUTE_AFTER or (
        place.before[-1:] and place.before[-1] in _DEGREE - words("as") and not place.after
    )
    return "m ay0 n uw1 t" if small else None


def _content(place: Place) -> str | None:
    glad = place.previous in _FEEL or (place.next in _CONTENT_AFTER and place.previous not in DETERMINERS)
    return "k ax0 n t eh1 n t" if glad and place.next not in ("of", "creator", "creators", "moderation") else None


def _bow(place: Place) -> str | None:
    bent = place.previous in _SPEAKING or place.has(_SHIP) or place.next in words("down before out")
    greets = place.next == "to" and place.previous not in POSSESSIVES | words("the")
    ended = place.has(words("took take taken")) and not place.after
    return _VERBS["bow"] if bent or greets or ended or place.is_verb() else None


def _bass(place: Place) -> str:
    nearest = place.before[-2:]
    music = place.next in _MUSIC_AFTER or not _MUSIC_BEFORE.isdisjoint(nearest)
    return "b ae1 s" if place.has(_BASS) and not music else "b ey1 s"


def _does(place: Place) -> str | None:
    """Female deer after an article or a number; ``one does``, ``this does`` are verbs."""
    nearest = place.before[-1] if place.before else ""
    counted = nearest in words("two three four five six several many") and place.has(_DEER)
    return "d ow1 z" if counted or nearest in _OF_DEER or (nearest in _KINDS_OF_DEER and place.next != "not") else None


def _invalid(place: Place) -> str | None:
    """Somebody ill after an article or a possessive, unless what is not valid follows."""
    named = place.previous in ARTICLES | POSSESSIVES | _OF_THE_ILL
    joined = place.next in ("and", "or") and (len(place.after) < 2 or place.after[1] in DETERMINERS)
    alone = not place.next or joined or place.next in _BEHIND_A_PERSON | BE | HAVE | MODALS | PREPOSITIONS
    return None if named and alone else "ih0 n v ae1 l ax0 d"


def _dove(place: Place) -> str | None:
    return "d ow1 v" if place.next in words("into in off under down") and place.previous not in DETERMINERS else None


_CHOSEN: Mapping[str, Chosen] = {
    "read": _read, "lead": _lead, "live": _live, "lives": _lives, "use": _use, "uses": _uses, "used": _used,
    "close": _close,
    "wind": _wind, "winds": _winds, "wound": _wound, "tear": _tear, "tears": _tears, "minute": _minute,
    "content": _content,
    "invalid": _invalid, "bow": _bow, "bass": _bass, "does": _does, "dove": _dove,
}  # fmt: skip
HOMOGRAPHS = frozenset(
    ("polish", *_CHOSEN, *_VERBS, *_NOUNS, *(f"{verb}s" for verb in _VERBS if not verb.endswith(("s", "x", "y"))))
)
"""Words whose pronunciation depends on what stands beside them."""

_OF_POLAND = "p ow1 l ih0 sh"
_POLISHED = words("nail shoe boot furniture floor car silver metal french wood brass shoes boots silverware brassware")
_POLISHING = words("up off until with both your")
_LETTER_A = "ey1"
_AFTER_LETTER = words("is was and or to through plus minus equals means stands has comes as")
_LETTERED = words(
    "vitamin plan group team option type class grade section part figure appendix exhibit gate terminal block "
    "building level series category side string hepatitis letter point model zone platform serie step size answer "
    "choice player person speaker schedule line area table column row unit key note an influenza flu division league "
    "route train bus blood big straight grade-"
)


def in_context(units: Sequence[str], index: int) -> Phones | None:
    """The phones of a unit of a sentence (words and marks) that is said otherwise there than it is alone."""
    word = units[index].lower()
    if word == "a":
        return (_LETTER_A,) if _is_letter_a(units, index) else None
    if word == "polish":
        return tuple(_OF_POLAND.split()) if _is_of_poland(units, index) else None
    if word not in HOMOGRAPHS:
        return None
    place = Place.of(units, index)
    said = _CHOSEN[word](place) if word in _CHOSEN else _by_class(word, place)
    return tuple(said.split()) if said else None


def _is_of_poland(units: Sequence[str], index: int) -> bool:
    """``Polish`` with a capital, unless that begins a sentence that says what to polish, or names a nail polish."""
    if units[index] != "Polish":
        return False
    place, before = Place.of(units, index), units[index - 1] if index else ""
    if before[:1].isalpha():
        return before.lower() not in _POLISHED
    return not (place.takes_object or place.next in _POLISHING or place.next in _POLISHED)


def _by_class(word: str, place: Place) -> str | None:
    base = word if word in _VERBS or word in _NOUNS else word[:-1]
    verb = place.is_verb(in_s=base != word)
    if word in _MOSTLY_VERBS and not verb:
        verb = place.previous not in DETERMINERS and place.previous not in PREPOSITIONS
    said = (_VERBS if verb else _NOUNS).get(base)
    if said is None or base == word:
        return said
    return " ".join(with_s(tuple(said.split())))


def _is_letter_a(units: Sequence[str], index: int) -> bool:
    """The letter: alone, before a mark, beside other letters, in the middle of a sentence that has small ones."""
    before = units[index - 1] if index else ""
    after = units[index + 1] if index + 1 < len(units) else ""
    if _spelled_after(units, index):
        return _is_single(before) or f"A{_spelled_after(units, index)}" in SPELLED
    beside = [unit for unit in (before, after) if unit[:1].isalpha()]
    if any(_is_single(unit) for unit in beside):
        return True
    if not after[:1].isalpha():
        trails_off = units[index + 1 : index + 3] == [".", "."]
        return (units[index] == "A" and not trails_off) or _names(before)
    if after.lower() in _AFTER_LETTER and not (after.lower() == "as" and units[index] == "a"):
        return True
    if units[index] == "a":
        return before.lower() in ("letter", "vitamin")
    in_title = before[:1].isupper() and after[:1].isupper() and before.lower() not in _LETTERED
    return bool(before[:1].isalpha()) and not in_title


def _spelled_after(units: Sequence[str], index: int) -> str:
    """An abbreviation that an article may stand before, letter by letter: ``a U S citizen``, not ``A B test``."""
    letters = takewhile(
        lambda unit: len(unit) == 1 and unit.isupper(), (u.removesuffix("'s") for u in units[index + 1 :])
    )
    run = "".join(letters)
    return run if units[index] == "a" or run in SPELLED or f"A{run}" in SPELLED else ""


def _names(before: str) -> bool:
    return before.lower() in _LETTERED


def _is_single(unit: str) -> bool:
    return len(unit) == 1 and unit.isalpha() and unit.isupper() and unit != "I"
