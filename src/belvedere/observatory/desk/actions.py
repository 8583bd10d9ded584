"""Put things on a reader's desk and take them off; read what its rules say of its own figures."""

from dataclasses import dataclass

from django.db import transaction

from belvedere.engine.indicators import signals
from belvedere.engine.indicators.definitions import catalogue
from belvedere.engine.indicators.lattice import ALL, overlapping
from belvedere.engine.indicators.own import OwnFigures
from belvedere.engine.nomenclature.products import families
from belvedere.engine.nomenclature.territories import names
from belvedere.observatory.accounts.models import User
from belvedere.observatory.desk.models import DIRECTIONS, AlertRule, Basket
from belvedere.observatory.journal.actions import record

MOST = 30  # baskets, and rules, of one person


class DeskRefused(ValueError):
    """Why a thing cannot be kept, in French."""


@dataclass(frozen=True)
class Reading:
    """What a rule says today: the change over a year of the three-month mean (None: not enough past), and whether it rings."""

    rule: AlertRule
    change: float | None
    rings: bool

    @property
    def text(self) -> str:
        """« Patients suivis, Oxygénothérapie : baisse de plus de 5 % »."""
        label = catalogue()[self.rule.indicator].label if self.rule.indicator in catalogue() else self.rule.indicator
        where = families().get(self.rule.product, "toutes familles")
        return f"{label}, {where} : {dict(DIRECTIONS)[self.rule.direction]} de plus de {self.rule.percent}\u00a0%"


@transaction.atomic
def keep_basket(person: User, *, name: str, kind: str, codes: list[str]) -> Basket:
    """Keep a basket under a name, in place of the one of that name; DeskRefused."""
    known = names() if kind == "territory" else families()
    chosen = sorted(set(codes))
    if not name.strip():
        raise DeskRefused("Donnez un nom au panier.")
    if len(chosen) < 2 or any(code not in known for code in chosen):
        raise DeskRefused("Choisissez au moins deux territoires, ou deux familles.")
    if overlapping(kind, chosen):
        raise DeskRefused("Ce panier compterait deux fois les mêmes patients : une région contient déjà ses départements.")
    if len(",".join(chosen)) > 600:
        raise DeskRefused("Ce panier est trop grand : choisissez plutôt des régions.")
    if person.baskets.exclude(name=name.strip()[:60]).count() >= MOST:
        raise DeskRefused(f"Vous avez déjà {MOST} paniers : retirez-en un.")
    made, _ = Basket.objects.update_or_create(person=person, name=name.strip()[:60], defaults={"kind": kind, "codes": ",".join(chosen)})
    record(by=person.actor, action="panier.garde", subject=f"panier:{made.pk}", kind=kind, codes=len(chosen))
    return made


@transaction.atomic
def keep_rule(person: User, *, indicator: str, product: str, direction: str, percent: int) -> AlertRule:
    """Keep a rule, in place of the one on the same figure in the same direction; DeskRefused."""
    if indicator not in signals.WATCHED or product not in (ALL, *families()) or direction not in dict(DIRECTIONS) or not 1 <= percent <= 200:
        raise DeskRefused("Cette règle ne veut rien dire : reprenez les choix du formulaire, un seuil entre 1 et 200 %.")
    if person.alerts.exclude(indicator=indicator, product=product, direction=direction).count() >= MOST:
        raise DeskRefused(f"Vous avez déjà {MOST} règles : retirez-en une.")
    found, _ = AlertRule.objects.update_or_create(
        person=person, indicator=indicator, product=product, direction=direction, defaults={"percent": percent}
    )
    record(by=person.actor, action="alerte.gardee", subject=f"alerte:{found.pk}", indicator=indicator)
    return found


@transaction.atomic
def remove(person: User, kind: str, number: int) -> bool:
    """Take a basket ("panier") or a rule ("alerte") off the desk of its owner; whether it was there."""
    model = {"panier": Basket, "alerte": AlertRule}[kind]
    gone, _ = model.objects.filter(pk=number, person=person).delete()
    if gone:
        record(by=person.actor, action=f"{kind}.retire", subject=f"{kind}:{number}")
    return bool(gone)


def readings(person: User, own: OwnFigures) -> list[Reading]:
    """What each of a person's rules says of its own figures today."""
    found = []
    for rule in person.alerts.all():
        change = signals.year_change(own, rule.indicator, rule.product) if rule.indicator in signals.WATCHED and own.months else None
        limit = rule.percent / 100
        rings = change is not None and ((rule.direction != "down" and change > limit) or (rule.direction != "up" and change < -limit))
        found.append(Reading(rule, change, rings))
    return found
