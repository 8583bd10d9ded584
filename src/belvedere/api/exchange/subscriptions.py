"""FHIR subscriptions in R4 with the R5 backport."""

from django.http import HttpResponse

from belvedere.api.exchange.fhir import Call, Problem, answer
from belvedere.engine.exchange.topics import topics
from belvedere.observatory.exchange import messages, subscribing, telling
from belvedere.observatory.exchange.models import Subscription, SubscriptionState

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"


def resource(subscription: Subscription) -> dict:
    """A subscription as FHIR shows it: no secret."""
    filters = [f"{name}={','.join(values)}" for name, values in sorted(subscription.filters.items())]
    return {
        "resourceType": "Subscription", "id": subscription.uid, "status": SubscriptionState(subscription.state).value, "reason": subscription.get_purpose_display(),
        "criteria": f"{messages.base()}/SubscriptionTopic/{subscription.topic}",
        "_criteria": {"extension": [{"url": f"{BACKPORT}filter-criteria", "valueString": text} for text in filters]} if filters else None,
        "channel": {"type": "rest-hook", "endpoint": subscription.endpoint, "payload": "application/fhir+json", "_payload": {"extension": [{"url": f"{BACKPORT}payload-content", "valueCode": "id-only"}]}},
        **({"error": subscription.why} if subscription.why else {}),
    }  # fmt: skip


def _own(call: Call) -> Subscription:
    found = Subscription.objects.select_related("party").filter(uid=call.parts["id"], party=call.by.party).first()
    if found is None:
        raise Problem(404, "not-found", "Cet abonnement n’existe pas.")
    return found


def _clean(made: dict) -> dict:
    return {name: value for name, value in made.items() if value is not None}


def _payload(channel: dict) -> str:
    """What the notifications of a channel would carry, "" when it does not say."""
    held = channel.get("_payload")
    extensions = held.get("extension", []) if isinstance(held, dict) else []
    told = (
        [one.get("valueCode", "") for one in extensions if isinstance(one, dict) and str(one.get("url", "")).endswith("payload-content")]
        if isinstance(extensions, list)
        else []
    )
    return str(told[0]) if told else ""


def _asked(call: Call) -> tuple[str, str, dict[str, list[str]]]:
    content = call.content()
    channel = content.get("channel") if isinstance(content.get("channel"), dict) else {}
    if content.get("resourceType") != "Subscription" or channel.get("type") != "rest-hook":
        raise Problem(422, "not-supported", "Une Subscription dont channel.type est rest-hook est attendue.")
    if _payload(channel) not in ("", "id-only"):
        raise Problem(
            422,
            "not-supported",
            "Un avis ne porte que des identifiants (id-only) : retirez payload-content, ou mettez-le à id-only, et relisez la ressource.",
        )
    filters: dict[str, list[str]] = {}
    extensions = content.get("_criteria", {}).get("extension", []) if isinstance(content.get("_criteria"), dict) else []
    for item in extensions if isinstance(extensions, list) else []:
        name, sign, values = str(item.get("valueString", "") if isinstance(item, dict) else "").partition("=")
        if not sign:
            raise Problem(422, "value", "Un filtre s’écrit nom=valeur,valeur.")
        filters[name] = [value for value in values.split(",") if value][:100]
    return str(content.get("criteria", "")).rsplit("/", 1)[-1], str(channel.get("endpoint", "")), filters


def create(call: Call) -> HttpResponse:
    """Subscribe to a topic for the purpose of `X-Finalite`; the signing secret is in the answer's header, once."""
    topic, endpoint, filters = _asked(call)
    try:
        made, secret = subscribing.subscribe(
            party=call.by.party, topic=topic, purpose=call.by.purpose or "", endpoint=endpoint, filters=filters, level=call.by.level
        )
    except subscribing.SubscriptionRefused as error:
        raise Problem(422, "business-rule", str(error)) from error
    return answer(_clean(resource(made)), 201, Location=f"{messages.base()}/Subscription/{made.uid}", X_Secret=secret)


def read(call: Call) -> HttpResponse:
    return answer(_clean(resource(_own(call))))


def listing(call: Call) -> HttpResponse:
    rows = Subscription.objects.filter(party=call.by.party).select_related("party")
    return answer(
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": _clean(resource(row)), "search": {"mode": "match"}} for row in rows]}
    )


def update(call: Call) -> HttpResponse:
    """Start again a subscription that stopped (status requested), or stop it (status off)."""
    found, content = _own(call), call.content()
    if content.get("status") == "off":
        subscribing.stop(found, by=call.by.party.code, why="Arrêté par l’abonné.")
    elif content.get("status") == "requested":
        subscribing.resume(found)
    else:
        raise Problem(422, "value", "status vaut requested (relancer) ou off (arrêter) ; pour le reste, faites un autre abonnement.")
    found.refresh_from_db()
    return answer(_clean(resource(found)))


def delete(call: Call) -> HttpResponse:
    subscribing.stop(_own(call), by=call.by.party.code, why="Supprimé par l’abonné.")
    return HttpResponse(status=204)


def status(call: Call) -> HttpResponse:
    """Where a subscription stands, as a notification of type query-status."""
    return answer(messages.notification(_own(call), "query-status"))


def events(call: Call) -> HttpResponse:
    """Catch up: `eventsSinceNumber`, `eventsUntilNumber`. Rights are asked again."""
    first, last = call.request.GET.get("eventsSinceNumber", "1"), call.request.GET.get("eventsUntilNumber", "")
    if not first.isdecimal() or len(first) > 15 or (last and (not last.isdecimal() or len(last) > 15)):
        raise Problem(400, "value", "eventsSinceNumber et eventsUntilNumber sont des nombres.")
    found = _own(call)
    return answer(messages.notification(found, "query-event", telling.caught_up(found, int(first), int(last) if last else None)))


def topic(call: Call) -> HttpResponse:
    """One topic."""
    found = topics().get(call.parts["id"])
    if found is None:
        raise Problem(404, "not-found", "Ce sujet n’existe pas.")
    return answer({"resourceType": "Basic", "id": found.code, "code": {"text": found.label}})
