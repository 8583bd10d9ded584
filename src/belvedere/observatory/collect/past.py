"""What already counts of the member whose flow is compared: its live files, and the invoices that may be the same."""

from dataclasses import dataclass, field

import pyarrow.parquet as pq
from django.utils import timezone

from belvedere.engine.warehouse import ledger
from belvedere.observatory.collect import vault
from belvedere.observatory.collect.models import DataFile, Flow
from belvedere.observatory.members.models import Member

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
