"""Settle a flow: opened, controlled and counted in one pass, then one transaction for everything it changes.

The fact file is written and synced first. The transaction then holds the flow's state, its file on the live
list, the files without the invoices it replaces, the journal entry, the signed receipt and the message to the
sender's server. Whatever dies in between, the lease runs out and another worker starts again; a file that was
not listed does not exist.
"""

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.db import IntegrityError, transaction
from django.utils import timezone

from belvedere.engine.b2.envelope import open_envelope
from belvedere.engine.b2.findings import B2Error, finding
from belvedere.engine.b2.unwrap import Clear
from belvedere.engine.nomenclature import lpp_reference
from belvedere.engine.services import frontend
from belvedere.engine.warehouse import files, ledger
from belvedere.engine.warehouse.intake import Examined, examine
from belvedere.engine.warehouse.returns import examine_return, looked_at
from belvedere.observatory.collect import keyring, receipts, vault, webhooks
from belvedere.observatory.collect.models import COUNTED, SETTLED, DataFile, Flow, ReturnFile, State
from belvedere.observatory.collect.queue import Heartbeat
from belvedere.observatory.environment import data_dir, read
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members import enrolment
from belvedere.observatory.members.models import Member
from belvedere.observatory.objections import register
from belvedere.observatory.study import marks

# Invoices of live files, which never change: a sender of many small flows is not read again for each of them.
# Two million of them weigh about 150 MB.
KEPT_INVOICES = 2_000_000
_kept: dict[str, ledger.Invoices] = {}
_held = 0


class Conflict(Exception):
    """The member's live files changed while the flow was compared with them: start again."""


@dataclass
class History:
    """The live files of the flow's member as they stood when it was identified."""

    flow: Flow
    member: Member | None = None
    known: dict[int, DataFile] = field(default_factory=dict)

    def identify(self, billers: set[int]) -> int | None:
        """The group's entity that bills, by its FINESS; None when it is not the group's."""
        allowed = Member.objects.present(timezone.localdate(self.flow.received_at)).filter(group=self.flow.group, finess__in=billers)
        if self.flow.sender and self.flow.sender.member_id:
            allowed = allowed.filter(pk=self.flow.sender.member_id)
        self.member = allowed.first()
        if self.member is None:
            return None
        self.known = {row.pk: row for row in DataFile.objects.filter(member=self.member, retired_at=None)}
        return self.member.pk

    def past(self, invoices: ledger.Invoices) -> list[tuple[int, ledger.Invoices, bool]]:
        """Invoices of the live files that may hold the same ones, and whether they came after this flow."""
        if not len(invoices):
            return []
        low, high = int(invoices.number.min()), int(invoices.number.max())
        first, last = int(invoices.first.min()), int(invoices.last.max())
        return [(pk, self._invoices(pk), row.flow_id > self.flow.pk) for pk, row in self.known.items() if may_overlap(row, first, last, low, high)]

    def _invoices(self, pk: int) -> ledger.Invoices:
        name = str(vault.facts_path(self.known[pk].name))
        found = _kept.get(name)
        if found is None:
            try:
                table = pq.read_table(name, columns=list(ledger.COLUMNS))
            except FileNotFoundError as error:
                if DataFile.objects.filter(pk=pk, retired_at=None).exists():
                    raise  # it is listed and not there: that is damage, not a race
                raise Conflict from error
            found = ledger.invoices_of(table)
            _keep(name, found)
        return found


def _keep(name: str, found: ledger.Invoices) -> None:
    global _held
    while _kept and _held + len(found) > KEPT_INVOICES:
        _held -= len(_kept.pop(next(iter(_kept))))
    _kept[name] = found
    _held += len(found)


def may_overlap(row: DataFile, first: int, last: int, low: int, high: int) -> bool:
    """Whether a live file may hold invoices of these days and numbers: the same numbers within a quarter, or
    care of the very same days."""
    days_apart = max(first - row.last_day, row.first_day - last)
    return days_apart <= 0 or (days_apart <= ledger.SAME_PERIOD_DAYS and row.low_number <= high and low <= row.high_number)


def settle(flow: Flow) -> Flow:
    """Control a leased flow, keep its facts or refuse it, and write its receipt. Conflict and LeaseLost are for
    the worker to handle; everything that is wrong with the flow itself ends in its findings."""
    history = History(flow)
    name = f"{flow.pk // 1000:06d}/{flow.pk}-{flow.tries}.parquet"
    writer = files.Writer(vault.facts_path(name))
    heartbeat = Heartbeat(flow)
    heartbeat.start()
    try:
        found, test = _examine(flow, history, writer, heartbeat.check)
        # Lines of persons who objected were counted for the receipt, which tells nobody apart, and not kept.
        made = None
        if found.refused or found.member is None or flow.test or test or found.test or not writer.rows:
            writer.drop()
        else:
            size = writer.close()
            made = ReturnFile(flow=flow, member=history.member, name=name, rows=writer.rows, size=size) if found.returned else DataFile(
                flow=flow, member=history.member, name=name, rows=writer.rows, size=size, first_day=found.first, last_day=found.last,
                low_number=found.low, high_number=found.high,
            )  # fmt: skip
        flow.test = flow.test or test or found.test
        return _finish(flow, history, found, made)
    except BaseException:
        writer.drop()
        raise
    finally:
        heartbeat.stop()


def _examine(flow: Flow, history: History, writer: files.Writer, beat: Callable[[], None]) -> tuple[Examined, bool]:
    path = vault.sealed_path(flow.sealed_name)
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        if Flow.objects.get(pk=flow.pk).state in SETTLED:
            raise Conflict from None  # another worker settled it after our lease ran out
        raise
    with stream:
        sealed = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    flow.algorithm = frontend.algorithm(sealed)[:12]
    try:
        envelope = open_envelope(sealed, keyring.reception(), timezone.now())
    except B2Error as error:
        return Examined(findings=[error.finding], refused=True), False
    objections = register.standing()
    clear = Clear(envelope, int(read("BELVEDERE_MAX_CLEAR_MB")) * 1_048_576)

    def chunks() -> Iterator[bytes]:
        for piece in clear.chunks():
            beat()
            yield piece

    returned, pieces = looked_at(chunks())
    if returned:
        found = examine_return(pieces, flow_id=flow.pk, identify=history.identify, write=writer.write)
    else:
        found = examine(
            pieces, keys=keyring.pseudonym_keys(), flow_id=flow.pk, identify=history.identify, past=history.past,
            write=lambda table: writer.write(objections.without(table)),
            policy=flow.group.refusal or read("BELVEDERE_REFUSAL"), reference=reference(),
        )  # fmt: skip
    found.findings = [*clear.remarks, *map(clear.told, found.findings)]
    return found, clear.test


_references: dict[tuple[Path, float], lpp_reference.LppReference] = {}


def reference() -> lpp_reference.LppReference:
    """The imported LPP, or the shipped one; read again when another is imported."""
    path = data_dir() / "nomenclature" / "lpp.parquet"
    if not path.exists():
        return lpp_reference.shipped()
    key = (path, path.stat().st_mtime)
    if key not in _references:
        _references.clear()
        _references[key] = lpp_reference.load(path)
    return _references[key]


def give_up(flow: Flow) -> Flow:
    """Refuse a flow that could not be treated after several tries, so that its sender hears of it."""
    return _finish(flow, History(flow), Examined(findings=[finding("X901")], refused=True), None)


def _state(flow: Flow, found: Examined) -> str:
    if flow.duplicate_of_id:
        return State.DUPLICATE
    if found.refused or found.member is None:
        return State.REFUSED
    if found.refused_count:
        return State.PARTIAL
    if found.again and not found.lines:
        return State.DUPLICATE
    return State.REMARKS if found.findings else State.ACCEPTED


def _fill(flow: Flow, history: History, found: Examined) -> None:
    flow.kind = "noemie" if found.returned else "b2"
    flow.member = history.member or flow.member  # who deposited, where the file itself does not tell
    flow.findings = [item.as_dict() for item in found.findings]
    flow.counts, flow.records = found.counts, found.records
    flow.content_hash, flow.software = found.digest, found.software
    flow.refused_invoices, flow.refused_numbers = found.refused_count, found.refused_invoices
    flow.repeated_invoices = found.again
    flow.replaced_invoices = sum(map(len, found.replaced.values()))
    counted = flow.state in COUNTED
    flow.invoices, flow.lines = (found.invoices, found.lines) if counted else (0, 0)
    flow.amount_billed, flow.amount_amo = (found.amount_billed, found.amount_amo) if counted else (0, 0)
    if counted and found.first is not None:
        month = lambda day: np.datetime64(day, "D").astype("datetime64[M]").astype("datetime64[D]").item()  # noqa: E731
        flow.period_from, flow.period_to = month(found.first), month(found.last)


def _already(flow: Flow, history: History, found: Examined) -> Flow | None:
    if found.refused or flow.test or history.member is None:
        return None
    return Flow.objects.filter(member=history.member, content_hash=found.digest, state__in=COUNTED, test=False).first()


def _finish(flow: Flow, history: History, found: Examined, made: DataFile | ReturnFile | None) -> Flow:
    already = _already(flow, history, found)
    if already:
        flow.duplicate_of = already
        found.findings = [item for item in found.findings if item.code not in ("S106", "S107", "S108", "S114")]
        found.replaced = {}
    flow.state = _state(flow, found)
    _fill(flow, history, found)
    if flow.state not in COUNTED and made:
        vault.facts_path(made.name).unlink(missing_ok=True)
        made = None
    rewritten = _without(found.replaced, history, flow) if made else []
    try:
        _commit(flow, history, made, rewritten, found)
    except IntegrityError as error:
        _discard(made, rewritten)
        raise Conflict from error  # the same content was counted by another worker meanwhile
    except Conflict:
        _discard(made, rewritten)  # nothing was committed; any other failure may follow a commit, and leaves the files to the sweeper
        raise
    if int(read("BELVEDERE_KEEP_SEALED_HOURS")) == 0:
        vault.sealed_path(flow.sealed_name).unlink(missing_ok=True)
    return flow


def _discard(made: DataFile | ReturnFile | None, rewritten: list[tuple[DataFile, DataFile | None]]) -> None:
    for row in [made, *(new for _, new in rewritten)]:
        if row:
            vault.facts_path(row.name).unlink(missing_ok=True)


def _without(replaced: dict[int, set[int]], history: History, flow: Flow) -> list[tuple[DataFile, DataFile | None]]:
    """(live file, the same without the invoices that no longer count, or None if nothing is left)."""
    pairs: list[tuple[DataFile, DataFile | None]] = []
    for pk, numbers in replaced.items():
        old = history.known[pk]
        try:
            table = pq.read_table(vault.facts_path(old.name))
        except FileNotFoundError as error:
            raise Conflict from error
        gone = pc.is_in(table["invoice_no"], value_set=pa.array(sorted(numbers), pa.int64()))
        kept = table.filter(pc.invert(gone))
        if not len(kept):
            pairs.append((old, None))
            continue
        name = f"{flow.pk // 1000:06d}/{flow.pk}-{flow.tries}-r{pk}.parquet"
        size = files.write(kept, vault.facts_path(name))
        pairs.append((old, DataFile(
            flow_id=old.flow_id, member_id=old.member_id, name=name, rows=len(kept), size=size, first_day=old.first_day, last_day=old.last_day,
            low_number=old.low_number, high_number=old.high_number,
        )))  # fmt: skip
    return pairs


def _commit(
    flow: Flow, history: History, made: DataFile | ReturnFile | None, rewritten: list[tuple[DataFile, DataFile | None]], found: Examined
) -> None:
    flow.settled_at = now = timezone.now()
    with transaction.atomic():
        if not Flow.objects.select_for_update(of=("self",)).filter(pk=flow.pk, state=State.RUNNING, tries=flow.tries).exists():
            raise Conflict  # the lease ran out and another worker has it
        if isinstance(made, DataFile) and history.member:
            Member.objects.select_for_update(of=("self",), no_key=True).get(pk=history.member.pk)
            live = DataFile.objects.filter(member=history.member, retired_at=None)
            for row in live.exclude(pk__in=history.known):
                if may_overlap(row, made.first_day, made.last_day, made.low_number, made.high_number):
                    raise Conflict
            retired = DataFile.objects.filter(pk__in=[old.pk for old, _ in rewritten], retired_at=None).update(retired_at=now)
            if retired != len(rewritten):
                raise Conflict
        flow.lease_until = None
        flow.save()
        for row in [made, *(new for _, new in rewritten)]:
            if row:
                row.save()
        place = record(
            by="reception", action=f"flux.{flow.state}", subject=f"flux:{flow.pk}", lines=flow.lines, test=flow.test,
            replaced=flow.replaced_invoices, findings=[f"{item.code}@{item.record}" for item in found.findings][:50],
        )  # fmt: skip
        receipts.sign(flow, place)
        if flow.state in COUNTED and not flow.test and not found.returned and history.member:
            marks.write(flow, found, site=f"{history.member.finess:09d}")
        if flow.state in COUNTED and not flow.test and not found.returned:
            enrolment.first_flow(flow.group)
        webhooks.announce(flow)
