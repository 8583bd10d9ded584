"""What a deposit makes happen: rows of the outbox, written in its transaction; and their spreading to subscriptions, each with its own numbers."""

from collections.abc import Callable, Iterable

from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange.topics import topic_of, topics
from belvedere.observatory.exchange import policy
from belvedere.observatory.exchange.models import Delivery, Deposit, Event, Party, Person, Resource, Subscription, SubscriptionState

SPREAD_AT_ONCE = 500
Opening = Callable[[Subscription, Event], bool]


def raise_(
    *,
    topic: str,
    establishment: Party | None,
    focus: str,
    deposit: Deposit | None = None,
    person: Person | None = None,
    resource: Resource | None = None,
) -> Event:
    """Write one event inside the caller's transaction."""
    return Event.objects.create(
        topic=topic, at=timezone.now(), establishment=establishment, deposit=deposit, person=person, resource=resource, focus=focus
    )


def of_deposit(deposit: Deposit, stored: Iterable[Resource], rectified: set[str], closed: set[str]) -> None:
    """The events of a deposit's resources; `closed`: stays that had an end already."""
    now = timezone.now()
    Event.objects.bulk_create([
        Event(topic=topic, at=now, establishment=deposit.party, person=row.person, resource=row, deposit=deposit, focus=f"{row.type}/{row.uid}")
        for row in stored
        if (topic := topic_of(row.profile, row.facts, row.uid in rectified, row.uid in closed))
    ])  # fmt: skip


def _wants(subscription: Subscription, event: Event, opening: Opening) -> bool:
    """Whether an event is for a subscription: those of packages and refusals are for the party that they are about; the others pass its filters, and are
    of places that a row of the matrix opens to it: whoever has none is not told that something happens there."""
    if not topics()[event.topic].category and event.resource_id is None:
        return event.establishment_id == subscription.party_id
    place, names = event.establishment, {"etablissement": "finess", "departement": "department", "region": "region", "categorie": "kind"}
    return (
        place is not None
        and all(getattr(place, names[name]) in values for name, values in subscription.filters.items())
        and opening(subscription, event)
    )


@transaction.atomic
def spread(limit: int = SPREAD_AT_ONCE) -> int:
    """Number the new events of each subscription that wants them, in order, without hole; returns how many events were spread."""
    pending = list(
        Event.objects.select_for_update(skip_locked=False, of=("self",))
        .filter(spread=False)
        .select_related("establishment", "person", "resource__establishment", "resource__person")
        .defer("resource__content")
        .order_by("id")[:limit]
    )
    if not pending:
        return 0
    wanted = (
        Subscription.objects.select_for_update(of=("self",))
        .select_related("party")
        .filter(topic__in={event.topic for event in pending})
        .exclude(state=SubscriptionState.OFF)
    )
    opening = policy.opening(event.person_id for event in pending)
    for subscription in wanted:
        rows = []
        for event in pending:
            if event.topic == subscription.topic and _wants(subscription, event, opening):
                subscription.last_number += 1
                rows.append(Delivery(subscription=subscription, event=event, number=subscription.last_number))
        if rows:
            Delivery.objects.bulk_create(rows)
            # One that was idle until its heartbeat is woken; one that waits for its next try goes on waiting.
            if subscription.state == SubscriptionState.ACTIVE and not subscription.tries:
                subscription.next_at = min(subscription.next_at, timezone.now())
            subscription.save(update_fields=["last_number", "next_at"])
    Event.objects.filter(pk__in=[event.pk for event in pending]).update(spread=True)
    return len(pending)
