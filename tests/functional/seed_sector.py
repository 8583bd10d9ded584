"""Enrols the other groups of the story's sector and sends their flows: python -m tests.functional.seed_sector GROUP…"""

import datetime as dt
import sys

import django

django.setup()

from belvedere.engine.sector.billing import Sector, make_sector  # noqa: E402 (Django first)
from belvedere.observatory.accounts import factors, people  # noqa: E402
from belvedere.observatory.accounts.models import Role  # noqa: E402
from belvedere.observatory.members.actions import enrol_group  # noqa: E402
from belvedere.observatory.members.models import Federation  # noqa: E402
from tests.members import send  # noqa: E402

MONTHS = 3
SECRETS = {name: letter * 32 for name, letter in (("operateur", "A"), ("valideur0", "B"), ("valideur1", "C"), ("valideur2", "D"), ("auditeur", "E"))}
PASSWORD = "quatre mots à retenir"


def story_sector() -> Sector:
    """Fourteen groups of twenty providers; some group has three entities."""
    return make_sector(seed=8, first=dt.date(2025, 1, 1), providers=20, groups=14, months=MONTHS, patients=2500, establishments=1)


def main(left_out: set[int]) -> None:
    sector = story_sector()
    federations = list(Federation.objects.order_by("pk"))
    made = []
    for number in sorted({p.group for p in sector.providers} - left_out):
        own = [p for p in sector.providers if p.group == number]
        members = [{"name": p.name, "siren": p.siren, "finess": p.finess, "department": p.home, "norm": p.norm} for p in own]
        made.append(enrol_group(name=own[0].group_name, federation=federations[number % 3], members=members, by="essai"))
    for name, secret in SECRETS.items():
        role = Role.OPERATOR if name == "operateur" else Role.AUDITOR if name == "auditeur" else Role.VALIDATOR
        federation = federations[int(name[-1])] if role == Role.VALIDATOR else None
        factors.give(people.open_account(email=f"{name}@story.test", role=role, federation=federation, password=PASSWORD, by="essai"), secret)
    send(made, sector, range(MONTHS), [p.rank for p in sector.providers if p.group not in left_out])


if __name__ == "__main__":
    main({int(number) for number in sys.argv[1:]})
