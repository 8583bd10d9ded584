"""From decrypted content to B2 bytes: the MIME part of the insurance's mail, base64, gzip (norm reference §12).

Everything streams; the size of the clear file is bounded, so that a gzip bomb ends at the limit.
"""

import binascii
import zlib
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from email.policy import default

from belvedere.engine.b2.envelope import Envelope
from belvedere.engine.b2.findings import B2Error, Finding, finding

MAX_CLEAR_BYTES = 8 * 1024**3
_HEADERS = 16 * 1024
_OUT = 1024 * 1024
_KNOWN = (b"000", b"\xf0\xf0\xf0", b"PK\x03\x04", b"%PDF", b"7z\xbc\xaf", b"<?xm", b"\xef\xbb\xbf")


class Clear:
    """The clear bytes of an envelope. Read `chunks` once; `remarks`, `test` (an IRISTEST message) and `packed`
    are known when it ends."""

    def __init__(self, envelope: Envelope, limit: int = MAX_CLEAR_BYTES) -> None:
        self.remarks = [finding(code) for code in envelope.remarks]
        self.test = self.packed = False
        self._limit, self._plain = limit, envelope.plain()

    def chunks(self) -> Iterator[bytes]:
        """Pieces of at most a megabyte; B2Error E701 when the content is damaged, P602 when it is too long."""
        size = 0
        for piece in self._content(self._plain):
            size += len(piece)
            if size > self._limit:
                raise B2Error(finding("P602", limit=self._limit // 1_048_576))
            yield piece

    def told(self, error: Finding) -> Finding:
        """The finding that may be told for an error in the content. Without compression nothing proves that the
        bytes were sent as they are: an incomplete file then tells no more than a key that does not open."""
        return finding("E701") if not self.packed and error.code in ("F000", "F001", "F002") else error

    def _content(self, pieces: Iterator[bytes], mime: bool = True) -> Iterator[bytes]:
        head, ended = b"", True
        for piece in pieces:
            head += piece
            if len(head) >= 4:
                ended = False
                break
        rest = iter(()) if ended else pieces
        if head[:2] == b"\x1f\x8b":
            yield from self._gunzipped(head, rest)
        elif head[:1] == b"\x78" and head[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
            self.remarks.append(finding("E712"))
            yield from self._inflated(head, rest)
        elif not head or head.startswith(_KNOWN):
            yield head
            yield from rest
        elif mime and head[:1].isalpha():
            yield from self._content(self._body(head, rest), mime=False)
        else:
            raise B2Error(finding("E701"))

    def _body(self, head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        """The body of the MIME part, decoded."""
        while b"\n\n" not in head.replace(b"\r", b"") and len(head) < _HEADERS:
            piece = next(rest, None)
            if piece is None:
                break
            head += piece
        for separator in (b"\r\n\r\n", b"\n\n"):
            text, found, body = head.partition(separator)
            if found:
                break
        else:
            raise B2Error(finding("E701"))
        try:
            part = BytesHeaderParser(policy=default).parsebytes(text + b"\n\n")
            kind, encoding = part.get_content_type(), str(part.get("content-transfer-encoding", "")).lower()
            described = str(part.get("content-description", "")).upper()
        except Exception as error:  # the library's parser meets headers that it did not foresee
            raise B2Error(finding("E701")) from error
        if kind != "application/edi-consent":
            raise B2Error(finding("E701"))
        self.test = described.startswith("IRISTEST")
        if encoding != "base64":
            yield body
            yield from rest
            return
        held = b""
        try:
            for piece in _chain(body, rest):
                held += piece.translate(None, b"\r\n \t")
                whole = len(held) // 4 * 4
                yield binascii.a2b_base64(held[:whole])
                held = held[whole:]
            yield binascii.a2b_base64(held)
        except binascii.Error as error:
            raise B2Error(finding("E701")) from error

    def _gunzipped(self, head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        self.packed = True
        yield from _inflate(_chain(head, rest), 31)

    def _inflated(self, head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        self.packed = True
        yield from _inflate(_chain(head, rest), 15)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _inflate(pieces: Iterator[bytes], bits: int) -> Iterator[bytes]:
    """Decompressed pieces of members that follow each other; B2Error E701 when damaged or cut short."""
    opening = zlib.decompressobj(bits)
    try:
        for piece in pieces:
            while piece:
                if opening.eof:
                    if not piece.strip(b"\0"):
                        break  # padding after the last member
                    opening = zlib.decompressobj(bits)
                yield opening.decompress(piece, _OUT)
                piece = opening.unused_data if opening.eof else opening.unconsumed_tail
        while not opening.eof and (more := opening.decompress(b"", _OUT)):
            yield more
    except zlib.error as error:
        raise B2Error(finding("E701")) from error
    if not opening.eof:
        raise B2Error(finding("E701"))


def gunzipped(data: Iterator[bytes]) -> Iterator[bytes]:
    """A clear file that may be gzipped, for the tools of the command line."""
    head = next(data, b"")
    yield from _inflate(_chain(head, data), 31) if head[:2] == b"\x1f\x8b" else _chain(head, data)
