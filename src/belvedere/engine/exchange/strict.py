"""JSON as a deposit may write it: one value for one key, bounded depth and size, so that a hash names one content."""

import hashlib
import json

MOST_BYTES = 10 * 1024 * 1024
MOST_ENTRIES = 2_000
MOST_DEPTH = 64


class Malformed(Exception):
    """The text cannot be taken; carries the rule's identifier and what was met."""

    def __init__(self, rule: str, what: str = "") -> None:
        super().__init__(what)
        self.rule, self.what = rule, what


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise Malformed("tddui-json-03", next(name for name in names if names.count(name) > 1))
    return found


def _number(text: str) -> float:
    raise Malformed("tddui-json-01", text)


def parse(raw: bytes) -> dict:
    """The object that a text says. Malformed: too large, no JSON, a key twice, too deep, no object."""
    if len(raw) > MOST_BYTES:
        raise Malformed("tddui-json-02", f"{len(raw)} octets")
    try:
        text = raw.decode("utf-8")
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_number)
        if "\\u" in text:
            # Half of a character, or none at all: no text that can be hashed or kept.
            told = json.dumps(content, ensure_ascii=False)
            told.encode("utf-8")
            if "\\u0000" in told:
                raise Malformed("tddui-json-01", "caractère nul")
    except Malformed:
        raise
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Malformed("tddui-json-01", str(error)[:80]) from error
    if not isinstance(content, dict):
        raise Malformed("tddui-json-05", type(content).__name__)
    deep, null = _measured(content)
    if null:
        raise Malformed("tddui-json-06")
    if deep > MOST_DEPTH:
        raise Malformed("tddui-json-04", f"plus de {MOST_DEPTH} niveaux")
    return content


def _measured(content: object, most: int = MOST_DEPTH) -> tuple[int, bool]:
    """(how deep objects and lists nest, at most `most` + 1; whether a value is null at a depth that was reached)."""
    level, found, null = [content], 0, False
    while level and found <= most:
        below: list[object] = []
        for one in level:
            held = one.values() if type(one) is dict else one if type(one) is list else ()
            null = null or None in held
            below.extend(item for item in held if type(item) is dict or type(item) is list)
        level = below
        found += 1
    return found, null


def canonical(content: object) -> bytes:
    """Sorted keys, no blanks, UTF-8: what is hashed."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def digest(raw: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(raw).hexdigest()
