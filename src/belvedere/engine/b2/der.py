"""The few levels of a CMS enveloped-data, walked in place in DER or streamed BER (RFC 5652 §6, X.690 §8).

Only extents are found here: the sealed content is never copied.
"""

from collections.abc import Iterator
from dataclasses import dataclass

ENVELOPED = bytes.fromhex("06092a864886f70d010703")
DATA = bytes.fromhex("06092a864886f70d010701")
_DEEPEST = 24
_MOST_SEGMENTS = 1_000_000


class Truncated(Exception):
    """The bytes end before the structure does."""


class NotEnveloped(Exception):
    """The bytes are no enveloped-data."""


@dataclass(frozen=True)
class Parts:
    """Extents of an enveloped-data: recipients and algorithm with their headers, segments of the content."""

    recipients: memoryview
    algorithm: memoryview
    segments: list[tuple[int, int]]


def octets(piece: bytes) -> bytes:
    """An OCTET STRING."""
    return b"\x04" + _length(len(piece)) + piece


def _length(size: int) -> bytes:
    if size < 128:
        return bytes([size])
    text = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(text)]) + text


def _head(data: memoryview, at: int) -> tuple[int, int | None, int]:
    """(tag, length or None when indefinite, where the content starts)."""
    if at + 2 > len(data):
        raise Truncated
    tag, size = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise NotEnveloped
    if size < 0x80:
        return tag, size, at + 2
    if size == 0x80:
        return tag, None, at + 2
    count = size & 0x7F
    if count > 8:
        raise NotEnveloped
    if at + 2 + count > len(data):
        raise Truncated
    return tag, int.from_bytes(data[at + 2 : at + 2 + count], "big"), at + 2 + count


def _end(data: memoryview, at: int, depth: int = 0) -> int:
    """Where the element that starts at `at` ends, its end of contents included."""
    if depth > _DEEPEST:
        raise NotEnveloped
    _, size, content = _head(data, at)
    if size is not None:
        if content + size > len(data):
            raise Truncated
        return content + size
    while bytes(data[content : content + 2]) != b"\0\0":
        content = _end(data, content, depth + 1)
    return content + 2


def _enter(data: memoryview, at: int, tag: int) -> tuple[int, int | None]:
    """(start of the content, its end or None) of a constructed element of this tag."""
    found, size, content = _head(data, at)
    if found != tag:
        raise NotEnveloped
    if size is not None and content + size > len(data):
        raise Truncated
    return content, None if size is None else content + size


def _segments(data: memoryview, at: int, depth: int = 0) -> Iterator[tuple[int, int]]:
    tag, size, content = _head(data, at)
    if tag in (0x80, 0x04) and size is not None:
        if content + size > len(data):
            raise Truncated
        if size:
            yield content, content + size
        return
    if tag not in (0xA0, 0x24) or depth > 2:
        raise NotEnveloped
    end = None if size is None else content + size
    if end is not None and end > len(data):
        raise Truncated
    while content != end if end is not None else bytes(data[content : content + 2]) != b"\0\0":
        yield from _segments(data, content, depth + 1)
        content = _end(data, content)


def enveloped(data: memoryview) -> Parts:
    """Find the parts of an enveloped-data; Truncated or NotEnveloped."""
    if not len(data) or data[0] != 0x30:
        raise NotEnveloped
    at, _ = _enter(data, 0, 0x30)
    if at + len(ENVELOPED) > len(data):
        raise Truncated
    if bytes(data[at : at + len(ENVELOPED)]) != ENVELOPED:
        raise NotEnveloped
    at, _ = _enter(data, at + len(ENVELOPED), 0xA0)
    at, _ = _enter(data, at, 0x30)
    at = _end(data, at)  # version
    if _head(data, at)[0] == 0xA0:
        at = _end(data, at)  # originator
    if _head(data, at)[0] != 0x31:
        raise NotEnveloped
    after = _end(data, at)
    recipients = data[at:after]
    at, _ = _enter(data, after, 0x30)
    at = _end(data, at)  # content type
    after = _end(data, at)
    algorithm = data[at:after]
    segments = []
    for segment in _segments(data, after):
        segments.append(segment)
        if len(segments) > _MOST_SEGMENTS:
            raise NotEnveloped
    return Parts(recipients, algorithm, segments)
