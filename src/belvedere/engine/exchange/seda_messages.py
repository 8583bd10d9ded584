"""What archives answer to a transfer: SEDA 2.3 acknowledgements and replies, read and written (the standard's schemas judge them in the tests)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree

from belvedere.engine.exchange.seda import NAMESPACE, PackageRefused, parse_xml

ACKNOWLEDGEMENT, REPLY = "Acknowledgement", "ArchiveTransferReply"
OK, WARNING, KO = "OK", "WARNING", "KO"
OURSELVES = "BELVEDERE"  # the transferring agency of our manifests
MOST_BYTES = 1_048_576
_NAMES = {"s": NAMESPACE}


@dataclass(frozen=True)
class Message:
    """An answer: `about` is the transfer's reference, `agency` who answers, `code` OK, WARNING or KO ("" of an acknowledgement), `outcomes` the word on
    each unit that one is said of, `texts` what is explained, by unit ("" of the whole)."""

    kind: str
    identifier: str
    about: str
    agency: str
    code: str = ""
    outcomes: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[tuple[str, str], ...] = ()


def read_message(raw: bytes) -> Message:
    """An acknowledgement or a reply. PackageRefused says what is missing or contradicts itself, in French."""
    if len(raw) > MOST_BYTES:
        raise PackageRefused("Le message dépasse 1 Mo.")
    root = parse_xml(raw)
    name = etree.QName(root)
    if name.namespace != NAMESPACE or name.localname not in (ACKNOWLEDGEMENT, REPLY):
        raise PackageRefused(f"Un message Acknowledgement ou ArchiveTransferReply de SEDA 2.3 est attendu ({NAMESPACE}).")
    if name.localname == ACKNOWLEDGEMENT:
        return Message(
            ACKNOWLEDGEMENT, _text(root, "MessageIdentifier"), _text(root, "MessageReceivedIdentifier"), _text(root, "Sender/s:Identifier")
        )
    code = _text(root, "ReplyCode")
    if code not in (OK, WARNING, KO):
        raise PackageRefused(f"ReplyCode vaut OK, WARNING ou KO, et non « {code[:20]} ».")
    outcomes: dict[str, str] = {}
    texts: list[tuple[str, str]] = []
    for event in root.iterfind("s:Operation/s:Event", _NAMES):
        unit, outcome = event.findtext("s:EventIdentifier", "", _NAMES).strip(), event.findtext("s:Outcome", "", _NAMES).strip()
        if unit and outcome:
            outcomes[unit] = outcome
        texts += [(unit, text) for tag in ("EventDetail", "OutcomeDetailMessage") if (text := event.findtext(f"s:{tag}", "", _NAMES).strip())]
    if bad := set(outcomes.values()) - {OK, WARNING, KO}:
        raise PackageRefused(f"Outcome vaut OK, WARNING ou KO, et non « {min(bad)[:20]} ».")
    if code != KO and KO in outcomes.values():
        raise PackageRefused("La réponse se contredit : elle accepte le versement et refuse une de ses unités.")
    identifier, about, agency = (_text(root, name) for name in ("MessageIdentifier", "MessageRequestIdentifier", "ArchivalAgency/s:Identifier"))
    return Message(REPLY, identifier, about, agency, code, outcomes, tuple(texts))


def _text(root: etree._Element, path: str) -> str:
    found = (root.findtext(f"s:{path}", "", _NAMES) or "").strip()
    if not found:
        raise PackageRefused(f"{path.replace('s:', '')} manque dans le message.")
    return found


def _root(kind: str, identifier: str, at: dt.datetime) -> etree._Element:
    root = etree.Element(f"{{{NAMESPACE}}}{kind}", nsmap={None: NAMESPACE})
    _sub(root, "Date", at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _sub(root, "MessageIdentifier", identifier)
    return root


def _sub(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    made = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    made.text = text
    return made


def _written(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def acknowledgement(*, identifier: str, at: dt.datetime, about: str, agency: str) -> bytes:
    """The acknowledgement of a transfer: it arrived; nothing is said of what it holds."""
    root = _root(ACKNOWLEDGEMENT, identifier, at)
    _sub(root, "MessageReceivedIdentifier", about)
    _sub(_sub(root, "Sender"), "Identifier", agency)
    _sub(_sub(root, "Receiver"), "Identifier", OURSELVES)
    return _written(root)


def reply(*, identifier: str, at: dt.datetime, about: str, agency: str, code: str, outcomes: Mapping[str, str]) -> bytes:
    """The reply to a transfer: its code, and one event for each unit (its identifier in the manifest) that a word is said of."""
    root = _root(REPLY, identifier, at)
    versions = _sub(root, "CodeListVersions")
    _sub(versions, "ReplyCodeListVersion", "ReplyCodeListVersion0")
    _sub(root, "ReplyCode", code)
    operation = _sub(root, "Operation")
    for unit, outcome in outcomes.items():
        event = _sub(operation, "Event")
        for name, text in (
            ("EventIdentifier", unit), ("EventType", "Contrôle de l’unité"), ("EventDateTime", at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")), ("Outcome", outcome),
        ):  # fmt: skip
            _sub(event, name, text)
    _sub(root, "MessageRequestIdentifier", about)
    _sub(_sub(root, "ArchivalAgency"), "Identifier", agency)
    _sub(_sub(root, "TransferringAgency"), "Identifier", OURSELVES)
    return _written(root)
