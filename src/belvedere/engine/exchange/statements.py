"""What a Consent says: agreement, opposition or withdrawal, of which purpose, category and recipient, from when."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

from belvedere.engine.exchange.identifiers import finess_of, finess_valid
from belvedere.engine.exchange.moments import PARIS, moment
from belvedere.engine.exchange.rules import Remark
from belvedere.engine.exchange.vocabulary import Actor, Category, Purpose, Speaker, Statement


def consent_told(resource: Mapping, where: str = "Consent") -> list[Remark]:
    """What the rules say of a Consent, within a deposit or alone: who speaks (a person or its representative), when, what of."""
    found = []
    if len(resource.get("performer", [])) != 1:
        found.append(Remark("tddui-consent-01", where + ".performer"))
    if moment(resource.get("dateTime")) is None:
        found.append(Remark("tddui-consent-02", where + ".dateTime"))
    if consent_rule(resource) is None and resource.get("status") == "active":
        found.append(Remark("tddui-consent-03", where + ".policyRule"))
    elif consent_terms(resource) is None:
        found.append(Remark("tddui-consent-04", where + ".provision"))
    return found


def speaker(resource: Mapping, kind: str = "") -> Speaker:
    """Who speaks in a Consent: whoever its performer is, by the type of the resource that it leads to (`kind`), else as the reference writes it."""
    held = resource.get("performer")
    one = held[0] if isinstance(held, list) and held and isinstance(held[0], Mapping) else {}
    told = kind or one.get("type") or str(one.get("reference", "")).rpartition("/")[0].rsplit("/", 1)[-1]
    return Speaker.REPRESENTATIVE if told == "RelatedPerson" else Speaker.PERSON


def consent_rule(resource: Mapping) -> str | None:
    """OPTIN or OPTOUT; None when the resource says neither."""
    rule = resource.get("policyRule")
    held = rule.get("coding") if isinstance(rule, Mapping) else None
    codes = {item.get("code") for item in held if isinstance(item, Mapping)} if isinstance(held, list) else set()
    return next((code for code in ("OPTIN", "OPTOUT") if code in codes), None)


@dataclass(frozen=True)
class Terms:
    """What a Consent says: agreement, opposition or withdrawal, of which purpose, category and recipient ("": all), from when."""

    kind: Statement
    purpose: str
    category: str
    recipient: str
    text: str

    def at(self, now: dt.datetime) -> dt.datetime:
        """The instant it holds from. A day alone is its beginning for an agreement, its end for what closes: of two statements of one day the one that closes stands."""
        found = moment(self.text) or now
        if len(self.text) <= 10:
            found = found.replace(tzinfo=PARIS)
        if len(self.text) <= 10 and self.kind != Statement.AGREEMENT:
            found += dt.timedelta(days=1) - dt.timedelta(seconds=1)
        return min(found, now)


_READ_OF_PROVISION = {"type", "purpose", "class", "actor"}
_PARTY = re.compile(r"acteur-\d{1,9}")


def _only(provision: Mapping, name: str) -> Mapping | None:
    """The single object of an element; {} when it is absent, None when it holds several or something else."""
    held = provision.get(name, {})
    one = held[0] if isinstance(held, list) and len(held) == 1 else held
    return one if isinstance(one, Mapping) else None


def _recipient(actor: Mapping) -> str | None:
    reference = actor.get("reference", {})
    number = reference.get("identifier") if isinstance(reference, Mapping) else None
    told = (
        reference.get("display") or str(reference.get("reference", "")).rsplit("/", 1)[-1] or (number.get("value", "") if isinstance(number, Mapping) else "")
        if isinstance(reference, Mapping) else ""
    )  # fmt: skip
    text = finess_of(str(told))
    return text if text in set(Actor) or _PARTY.fullmatch(text) or finess_valid(text) else None


def consent_terms(resource: Mapping) -> Terms | None:
    """What a Consent says; None when part of it cannot be told exactly: a narrower agreement is never read as a wider one."""
    rule, status = consent_rule(resource), resource.get("status")
    provision = resource.get("provision", {})
    if not isinstance(provision, Mapping) or set(provision) - _READ_OF_PROVISION or moment(resource.get("dateTime")) is None:
        return None
    parts = {name: _only(provision, name) for name in ("purpose", "class", "actor")}
    if (
        any(part is None for part in parts.values())
        or status not in ("active", "inactive", "rejected", "entered-in-error")
        or (rule is None and status == "active")
    ):
        return None
    purpose, category = (str((parts[name] or {}).get("code", "")) for name in ("purpose", "class"))
    recipient = _recipient(parts["actor"]) if parts["actor"] else ""
    if (parts["purpose"] and purpose not in set(Purpose)) or (parts["class"] and category not in set(Category)) or recipient is None:
        return None
    denies = provision.get("type") == "deny"
    if denies and rule == "OPTIN" and status == "active":
        return None  # agrees to all but this: two statements, not one
    kind = Statement.WITHDRAWAL if status != "active" else Statement.AGREEMENT if rule == "OPTIN" else Statement.OPPOSITION
    return Terms(kind, purpose, category, recipient, str(resource["dateTime"]))
