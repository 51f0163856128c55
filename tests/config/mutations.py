"""Ways to break a JSON text, one at a time, as people do."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass

from nam_like.config import jsonc

WRONG_TYPES = ['"3"', "true", "null", "[]", "{}", "1.5", "[1, 2]", '{"a": 1}', "-1", '"x"']
WRONG_NUMBERS = ["-1", "0", "-1e9", "1e30", "1.5", "-0.5"]
NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "0x10", "1.", ".5", "+1", "01"]


@dataclass(frozen=True)
class Mutation:
    """A broken text, and the offset at which it was broken."""

    kind: str
    text: str
    position: int


def _scan(text):
    """Keys and scalar values of a text, as (start, end)."""
    stream = list(jsonc.tokens(jsonc.blank(text)))
    keys, values, notes = [], [], 0
    for position, token in enumerate(stream):
        after = stream[position + 1]["mark"] if position + 1 < len(stream) else None
        if token["string"] and after == ":":
            if json.loads(token[0]).startswith(("_", "$")):
                notes = position + 2
            else:
                keys.append(token.span())
        elif not token["mark"] and position != notes:
            values.append(token.span())
    return keys, values


def _misspelt(word, rng):
    at = rng.randrange(len(word))
    ways = [word[:at] + word[at + 1 :], word[:at] + word[at] * 2 + word[at + 1 :], word + "s", word.upper()]
    if at + 1 < len(word):
        ways.append(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
    ways = [way for way in ways if way and way != word]
    return rng.choice(ways)


def mutate(text: str, rng: random.Random) -> Mutation:
    """Break `text` once."""
    keys, values = _scan(text)
    numbers = [span for span in values if re.match(r"-?\d", text[slice(*span)])]
    kind = rng.choice(["key", "name", "type", "range", "number", "truncated", "duplicate", "mark", "removed"])
    if kind == "truncated":
        cut = rng.randrange(1, len(text.rstrip()) - 1)
        return Mutation(kind, text[:cut], cut)
    if kind == "mark":
        marks = [token.start() for token in jsonc.tokens(jsonc.blank(text)) if token["mark"]]
        at = rng.choice(marks)
        return Mutation(kind, text[:at] + text[at + 1 :], at)
    if kind in ("duplicate", "removed"):
        start, end = rng.choice(keys)
        _, length = json.JSONDecoder().raw_decode(jsonc.blank(text)[end:].lstrip(": \n\t"))
        skipped = len(text[end:]) - len(jsonc.blank(text)[end:].lstrip(": \n\t"))
        stop = end + skipped + length
        if kind == "duplicate":
            return Mutation(kind, f"{text[:stop]}, {text[start:stop]}{text[stop:]}", stop)
        rest = re.sub(r"^\s*,", "", text[stop:])
        before = text[:start] if rest != text[stop:] else re.sub(r",\s*$", "", text[:start])
        return Mutation(kind, before + rest, start)
    if kind == "key":
        start, end = rng.choice(keys)
        word = json.dumps(_misspelt(json.loads(text[start:end]), rng))
    elif kind == "name":
        start, end = rng.choice([span for span in values if text[span[0]] == '"'] or keys)
        word = json.dumps(_misspelt(json.loads(text[start:end]) or "x", rng))
    elif kind == "type":
        start, end = rng.choice(values)
        word = rng.choice(WRONG_TYPES)
    else:
        start, end = rng.choice(numbers or values)
        word = rng.choice(WRONG_NUMBERS if kind == "range" else NO_NUMBERS)
    return Mutation(kind, text[:start] + word + text[end:], start)
