"""English readings of amounts of money: signs and codes before and after the figure, magnitudes, parts, ranges."""

from __future__ import annotations

import re

from parlando.text import numbers
from parlando.text.english_units import MINUS, NUMBER, alternatives, is_one
from parlando.text.rules import rule

_DOLLARS = {
    "$": "", "US$": "U S ", "C$": "Canadian ", "CA$": "Canadian ", "A$": "Australian ", "AU$": "Australian ",
    "HK$": "Hong Kong ", "NZ$": "New Zealand ", "S$": "Singapore ", "NT$": "Taiwan ", "USD": "U S ", "CAD": "Canadian ",
    "AUD": "Australian ", "NZD": "New Zealand ", "SGD": "Singapore ", "HKD": "Hong Kong ",
}  # fmt: skip
_RUPEES, _POUNDS, _EUROS = (
    ("rupee", "rupees", "paisa", "paise"),
    ("pound", "pounds", "penny", "pence"),
    ("euro", "euros", "cent", "cents"),
)
_YEN, _FRANCS = ("yen", "yen", "sen", "sen"), ("Swiss franc", "Swiss francs", "centime", "centimes")
_YUAN, _REAIS = ("yuan", "yuan", "fen", "fen"), ("real", "reais", "centavo", "centavos")
_PESOS, _KRONER = ("peso", "pesos", "centavo", "centavos"), ("krone", "kroner", "ore", "ore")
_CURRENCIES = {
    sign: (f"{whose}dollar", f"{whose}dollars", "cent", "cents") for sign, whose in _DOLLARS.items()
} | {
    "\u20ac": _EUROS, "EUR": _EUROS, "\u00a3": _POUNDS, "GBP": _POUNDS, "\u00a5": _YEN, "JPY": _YEN,
    "\u20b9": _RUPEES, "Rs": _RUPEES, "Re": _RUPEES, "INR": _RUPEES, "PKR": _RUPEES,
    "CHF": _FRANCS, "SFr": _FRANCS, "Fr": _FRANCS,
    "CNY": _YUAN, "RMB": _YUAN, "CN\u00a5": _YUAN, "R$": _REAIS, "BRL": _REAIS, "MX$": _PESOS, "MXN": _PESOS,
    "\u20b1": _PESOS,
    "kr": _KRONER, "NOK": _KRONER, "DKK": _KRONER, "SEK": ("krona", "kronor", "ore", "ore"),
    "\u20a9": ("won", "won", "jeon", "jeon"), "KRW": ("won", "won", "jeon", "jeon"),
    "\u20bd": ("ruble", "rubles", "kopeck", "kopecks"), "RUB": ("ruble", "rubles", "kopeck", "kopecks"),
    "\u20bf": ("bitcoin", "bitcoins", "satoshi", "satoshis"), "BTC": ("bitcoin", "bitcoins", "satoshi", "satoshis"),
    "\u20b4": ("hryvnia", "hryvnias", "kopeck", "kopecks"), "UAH": ("hryvnia", "hryvnias", "kopeck", "kopecks"),
    "\u20ba": ("lira", "lira", "kurush", "kurush"), "\u20aa": ("shekel", "shekels", "agora", "agorot"),
    "ILS": ("shekel", "shekels", "agora", "agorot"), "\u20ab": ("dong", "dong", "xu", "xu"),
    "\u0e3f": ("baht", "baht", "satang", "satang"), "THB": ("baht", "baht", "satang", "satang"),
    "\u20a6": ("naira", "naira", "kobo", "kobo"), "NGN": ("naira", "naira", "kobo", "kobo"),
    "PLN": ("zloty", "zlotys", "grosz", "groszy"), "z\u0142": ("zloty", "zlotys", "grosz", "groszy"),
    "CZK": ("koruna", "korunas", "haler", "halers"), "K\u010d": ("koruna", "korunas", "haler", "halers"),
    "HUF": ("forint", "forints", "filler", "filler"), "ZAR": ("rand", "rand", "cent", "cents"),
    "AED": ("dirham", "dirhams", "fils", "fils"), "SAR": ("riyal", "riyals", "halala", "halalas"),
    "KES": ("shilling", "shillings", "cent", "cents"), "\u20a1": ("colon", "colones", "centimo", "centimos"),
}  # fmt: skip
MAGNITUDES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "mm": "million", "MM": "million",
    "mln": "million", "mio": "million", "Mio": "million", "mil": "million", "b": "billion", "B": "billion",
    "bn": "billion", "Bn": "billion", "BN": "billion", "bln": "billion", "Mrd": "billion", "t": "trillion",
    "T": "trillion",
    "tn": "trillion", "trn": "trillion", "cr": "crore", "Cr": "crore",
}  # fmt: skip
"""Letters after a figure that multiply it."""

_DOTTED = r"(?:Rs|Re|Fr|SFr|kr)\.?"
_SIGNS = alternatives(name for name in _CURRENCIES if not name.isalnum())
_CODES = alternatives(name for name in _CURRENCIES if name.isupper() and name.isalnum())
_CURRENCY = rf"(?P<currency>(?<![A-Za-z])(?:{_DOTTED}|{_CODES})\s?|(?<![A-Z])(?:{_SIGNS})\s?)"
_AFTER = rf"(?P<currency>{_CODES}|kr\.?|z\u0142|K\u010d|[\u20ac\u00a3\u20bd\u20b4\u20ba\u20aa\u20ab\u0e3f$])"
_WORDS = "thousand|million|billion|trillion|hundred|lakh|crore"
_SCALE = rf"(?:\s?(?P<scale>{_WORDS})\b|\s?(?P<short>{alternatives(MAGNITUDES)})\b)"
_AMOUNT = (
    rf"(?P<amount>{NUMBER})(?:(?P<first>bn|[kKmMbB])?\s?[-\u2013]\s?(?:[$\u20ac\u00a3])?(?P<to>\d+(?:\.\d+)?))?"
    rf"{_SCALE}?(?![\d])"
)


def _money(match: re.Match[str]) -> str:
    one, many, cent, cents = _CURRENCIES[match["currency"].strip().removesuffix(".")]
    amount, group = match["amount"].replace(",", ""), match.groupdict()
    sign = "minus " if group.get("sign") else ""
    scale = group.get("scale") or MAGNITUDES.get(group.get("short") or "", "")
    if group.get("to"):
        scale_words, first = f" {scale}" if scale else "", MAGNITUDES.get(group.get("first") or "", scale)
        first_words = f" {first}" if first != scale else ""
        return f"{sign}{numbers.number(amount)}{first_words} to {numbers.number(group['to'])}{scale_words} {many}"
    if scale:
        return f"{sign}{numbers.number(amount)} {scale} {one if group.get('article') else many}"
    whole, _, fraction = amount.partition(".")
    if len(fraction) != 2:
        name = one if is_one(amount) or group.get("article") else many
        return f"{sign}{numbers.number(amount)} {name}"
    parts = []
    if whole.strip("0") or not int(fraction):
        parts.append(f"{numbers.number(whole or '0')} {one if whole == '1' else many}")
    if int(fraction):
        parts.append(f"{numbers.cardinal(int(fraction))} {cent if fraction == '01' else cents}")
    return sign + " and ".join(parts)


def _notes(match: re.Match[str]) -> str:
    """``$20s`` are twenties, ``$100s`` hundreds."""
    return numbers.plural(numbers.number(match["amount"]).removeprefix("one "))


def _article_money(match: re.Match[str]) -> str:
    return f"{match['article']} {_money(match)}"


RULES = (
    rule(
        rf"\b(?P<article>[Aa]n?|[Pp]er|[Ee]ach) {_CURRENCY}(?P<amount>{NUMBER}){_SCALE}?(?=[\s-][a-zA-Z])",
        _article_money,
        "$\u20ac\u00a3\u00a5",
    ),
    rule(rf"{_CURRENCY}(?P<amount>\d{{1,3}}(?:,\d{{3}})*|\d+)s\b", _notes, "s"),
    rule(rf"{MINUS}{_CURRENCY}{_AMOUNT}(?:/-)?", _money),
    rule(rf"(?<![\w.]){MINUS}(?P<amount>{NUMBER}){_SCALE}?\s?{_AFTER}(?![\w])", _money),
    rule(r"(?<![\w.])(\d+)\s?\u00a2", lambda m: f"{numbers.number(m[1])} cent{'' if m[1] == '1' else 's'}", "\u00a2"),
)
"""Amounts, read before dates are looked for."""
