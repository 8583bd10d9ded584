"""What archives answer to a transfer: an acknowledgement, then a reply, as SEDA messages or as words on each unit; kept as the message that it is."""

import hashlib
from collections.abc import Mapping

from django.utils import timezone

from belvedere.engine.exchange import bag, seda, seda_messages
from belvedere.engine.exchange.seda_messages import KO, OK, WARNING, Message
from belvedere.observatory.exchange import archives, vault
from belvedere.observatory.exchange.archives import TransferRefused
from belvedere.observatory.exchange.models import Transfer, TransferState
from belvedere.observatory.tokens import reference


def hear(transfer: Transfer, raw: bytes, *, by: str) -> Transfer:
    """Take a SEDA message of the archives: an acknowledgement, or a reply that accepts (OK, WARNING) or refuses (KO). The same message again
    changes nothing. TransferRefused says what is wrong with it."""
    try:
        message = seda_messages.read_message(raw)
    except seda.PackageRefused as error:
        raise TransferRefused(str(error)) from error
    digest = hashlib.sha256(raw).hexdigest()
    if transfer.reply.get("sha256") == digest:
        return transfer
    read = _package(transfer)
    if message.about != transfer.reference:
        raise TransferRefused(f"Ce message répond à « {message.about[:40]} », et non à {transfer.reference}.")
    if message.agency != read.archives:
        raise TransferRefused(f"Ce message vient de « {message.agency[:40]} », et le versement est adressé à {read.archives}.")
    if message.kind == seda_messages.ACKNOWLEDGEMENT:
        return archives.move(transfer, TransferState.ACKNOWLEDGED, by=by, reply={"sha256": digest, "units": []}, message=raw)
    return archives.move(
        transfer, _state(message), by=by, reply={"sha256": digest, "code": message.code, "units": _units(message, read)}, message=raw
    )


def answer(transfer: Transfer, units: Mapping[str, str], *, by: str) -> Transfer:
    """The archives' reply in words: OK or KO by unit (file name). Anything but OK everywhere refuses. TransferRefused."""
    read = _package(transfer)
    unknown = set(units) ^ set(read.pieces)
    if unknown:
        raise TransferRefused(f"La réponse doit dire OK ou KO pour chaque unité ; en trop ou en moins : {', '.join(sorted(unknown))[:120]}.")
    if set(units.values()) - {OK, KO}:
        raise TransferRefused("Chaque unité reçoit OK ou KO.")
    code = OK if set(units.values()) == {OK} else KO
    raw = seda_messages.reply(
        identifier=reference("R", 4, 4), at=timezone.now(), about=transfer.reference, agency=read.archives, code=code,
        outcomes={unit: units[name] for unit, name in read.units.items() if name} or dict.fromkeys(read.units, code),
    )  # fmt: skip
    return hear(transfer, raw, by=by)


def message_of(transfer: Transfer) -> bytes:
    """The last message of the archives, byte for byte; b"" before any."""
    return vault.unseal(transfer.message, f"reponse:{transfer.reference}") if transfer.message else b""


def explained(transfer: Transfer) -> list[tuple[str, str]]:
    """What the archives explain, as (unit or "", sentence)."""
    raw = message_of(transfer)
    return list(seda_messages.read_message(raw).texts) if raw else []


def _package(transfer: Transfer) -> seda.Read:
    raw = vault.unseal(transfer.package, f"versement:{transfer.reference}")
    return (bag if bag.is_bag(list(seda.members(raw))) else seda).read(raw)


def _state(message: Message) -> str:
    return TransferState.ACCEPTED if message.code in (OK, WARNING) else TransferState.REFUSED


def _units(message: Message, read: seda.Read) -> list[dict[str, str]]:
    names = {**read.units, **{name: name for name in read.pieces}}
    if unknown := sorted(set(message.outcomes) - set(names)):
        raise TransferRefused(f"Le versement n’a pas d’unité « {unknown[0][:60]} ».")
    said = {names[unit]: outcome for unit, outcome in message.outcomes.items()}
    rest = said.pop("", "") or ("" if message.code == KO and KO in said.values() else message.code)
    return [{"unit": name, "answer": said.get(name, rest)} for name in sorted(read.pieces)]  # of the whole file, the code is the word
