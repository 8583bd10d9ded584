"""What a treated flow changes, in one transaction: its state, its file on the live list, the files without the invoices it
replaces, the journal entry, the signed receipt and the message to the sender's server.

Several small flows may share the transaction, each in a savepoint of its own: one that must be compared again takes nothing
away from the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.db import IntegrityError, transaction
from django.utils import timezone

from belvedere.engine.warehouse import files
from belvedere.engine.warehouse.intake import Examined
from belvedere.observatory.collect import receipts, vault, webhooks
from belvedere.observatory.collect.models import COUNTED, DataFile, Flow, ReturnFile, State
from belvedere.observatory.collect.past import Conflict, History, may_overlap
from belvedere.observatory.environment import read
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members import enrolment
from belvedere.observatory.members.models import Member
from belvedere.observatory.study import marks

COUNTED_ONCE = ("content_counted_once", "content_hash")  # as PostgreSQL and as SQLite name it


@dataclass(eq=False)
class Treated:
    """A flow whose control is over: what was found of it, the file it made, the live files (old, new or None) it rewrites."""

    flow: Flow
    history: History
    found: Examined
    made: DataFile | ReturnFile | None
    rewritten: list[tuple[DataFile, DataFile | None]] = field(default_factory=list)

    @classmethod
    def of(cls, flow: Flow, history: History, found: Examined, made: DataFile | ReturnFile | None) -> "Treated":
        """Decide the flow's state and write the files that its replacements leave behind. Conflict when one of them is gone."""
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
        return cls(flow, history, found, made, _without(found.replaced, history, flow) if flow.state in COUNTED and not flow.test else [])

    def discard(self) -> None:
        """Remove the files of a flow of which nothing was committed."""
        for row in [self.made, *(new for _, new in self.rewritten)]:
            if row:
                vault.facts_path(row.name).unlink(missing_ok=True)


def commit(treated: Sequence[Treated]) -> list[Treated]:
    """Write everything that these flows change, in one transaction; those to compare again with a past that changed are returned, with
    nothing of theirs kept. At most one flow of a group. Any other failure may follow a commit: it leaves the files to the sweeper."""
    again = []
    with transaction.atomic():
        leased = _locked(treated)
        for one in treated:
            try:
                with transaction.atomic():
                    if one.flow.pk not in leased:
                        raise Conflict  # the lease ran out and another worker has it
                    _write(one)
            except Conflict:
                again.append(one)
            except IntegrityError as error:
                if not any(name in str(error) for name in COUNTED_ONCE):
                    raise
                again.append(one)  # another worker counted the same content meanwhile
    for one in again:
        one.discard()
    if int(read("BELVEDERE_KEEP_SEALED_HOURS")) == 0:
        for one in treated:
            if one not in again:
                vault.sealed_path(one.flow.sealed_name).unlink(missing_ok=True)
    return again


def _locked(treated: Sequence[Treated]) -> set[int]:
    """Take the flows' rows, then their members', then the enrolments that a first flow ends, always in this order and before the journal's: two
    workers never wait for each other. Returns the flows that are still this worker's."""
    tries = {one.flow.pk: one.flow.tries for one in treated}
    rows = Flow.objects.select_for_update(of=("self",)).filter(pk__in=tries, state=State.RUNNING).order_by("pk").values_list("pk", "tries")
    leased = {pk for pk, count in rows if tries[pk] == count}
    members = {one.history.member.pk for one in treated if one.history.member}
    list(Member.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=members).order_by("pk").values_list("pk"))
    enrolment.hold({one.flow.group_id for one in treated if one.flow.state in COUNTED})
    return leased


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


def _write(treated: Treated) -> None:
    flow, history, found, made = treated.flow, treated.history, treated.found, treated.made
    flow.settled_at = now = timezone.now()
    if history.member and not found.returned:
        live = DataFile.objects.filter(member=history.member, retired_at=None)
        if isinstance(made, DataFile):
            for row in live.exclude(pk__in=history.known):
                if may_overlap(row, made.first_day, made.last_day, made.low_number, made.high_number):
                    raise Conflict
        if found.again and live.filter(pk__in=history.known).count() != len(history.known):
            raise Conflict  # what it repeats may be what another flow has just replaced
        retired = DataFile.objects.filter(pk__in=[old.pk for old, _ in treated.rewritten], retired_at=None).update(retired_at=now)
        if retired != len(treated.rewritten):
            raise Conflict
    flow.lease_until = None
    flow.save()
    for new in [made, *(new for _, new in treated.rewritten)]:
        if new:
            if not vault.facts_path(new.name).exists():
                raise Conflict  # written and not listed, it was taken for an orphan
            new.save()
    place = record(
        by="reception", action=f"flux.{flow.state}", subject=f"flux:{flow.pk}", lines=flow.lines, test=flow.test,
        replaced=flow.replaced_invoices, findings=[f"{item.code}@{item.record}" for item in found.findings][:50],
    )  # fmt: skip
    receipts.sign(flow, place)
    if flow.state in COUNTED and not flow.test and not found.returned:
        if history.member:
            marks.write(flow, found, site=f"{history.member.finess:09d}")
        enrolment.first_flow(flow.group)
    webhooks.announce(flow)
