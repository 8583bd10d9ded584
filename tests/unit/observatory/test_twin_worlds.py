"""Non-interference (attack A23): two worlds that differ only in what is hidden are served byte for byte alike.

The second world exchanges the residences of two patients of one group, in two departments whose cells are
hidden: a move that touches no published cell, as a certificate does. Real flows are made, sealed, received,
settled, protected and published in both; then everything that the public, a member and a federation can
fetch is compared.
"""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from django.middleware import csrf
from django.test import Client

from belvedere.engine.nomenclature.products import products
from belvedere.engine.nomenclature.territories import departments, region_of
from belvedere.engine.sector.billing import make_sector, month_lines
from belvedere.observatory.accounts import factors
from belvedere.observatory.accounts.models import Role, User
from belvedere.observatory.collect import keyring
from belvedere.observatory.collect.models import Flow
from belvedere.observatory.members.models import Federation
from belvedere.observatory.publication import actions, frozen, gate
from belvedere.observatory.publication.models import Approval, Release
from tests.members import enrolled, send

FIRST, MONTHS = dt.date(2025, 1, 1), ["2025-01", "2025-02", "2025-03"]
MIDNIGHT = dt.datetime(2025, 5, 1, tzinfo=dt.UTC)


def first_world():
    return make_sector(seed=21, first=FIRST, providers=24, groups=14, months=3, patients=9000, establishments=2)


def run(sector, tmp_path, monkeypatch) -> tuple[Release, list]:
    """The whole way of a world, from its flows to its publication."""
    monkeypatch.setenv("BELVEDERE_DATA", str(tmp_path))
    monkeypatch.setenv("BELVEDERE_GATE_GROUPS", "3")
    monkeypatch.setenv("BELVEDERE_GATE_LINES", "100")
    monkeypatch.setenv("BELVEDERE_GATE_MEMBERS", "3")
    monkeypatch.setenv("BELVEDERE_GATE_PATIENTS", "50")
    federations = [Federation.objects.create(name=name) for name in ("FédéPSAD", "UNPDM", "UPSADI")]
    keyring.create_keys()
    groups = enrolled(sector, federations)
    send(groups, sector, range(3))
    release = actions.compute_release(label="2025-03", months=MONTHS, by="test", seed=1)
    assert release.leaks == []
    for federation in federations:
        release = gate.decide(release=release, federation=federation, by=None)
    Release.objects.update(created_at=MIDNIGHT, published_at=MIDNIGHT)
    Approval.objects.update(at=MIDNIGHT)
    Flow.objects.update(received_at=MIDNIGHT, settled_at=MIDNIGHT)  # a member reads when its own last flow was settled
    return Release.objects.get(), groups


def exchange(sector, release: Release):
    """(twin sector, group that bills both, changed cells): the first pair of patients whose exchange only moves what is hidden."""
    cells = frozen.opened(release).cells
    people, places = sector.population, departments()
    care: dict[int, tuple[set[int], set[str], int]] = {}
    for provider in sector.providers:
        for month in range(3):
            lines = month_lines(sector, provider.rank, month)
            for episode, lpp, total in zip(lines["episode"].tolist(), lines["lpp"].tolist(), lines["total"].tolist(), strict=True):
                who = int(people.patient[episode])
                groups, families, amount = care.get(who, (set(), set(), 0))
                care[who] = (groups | {provider.group}, families | {products()[int(lpp)].family}, amount + int(total))
    year = next(key[2] for key in cells if key[2].startswith("12m-"))
    total = ("*", "*", "*", "*")

    def hidden(place: int, families: set[str]) -> bool:
        return all(cells[places[place].code, family, year, *total] is None for family in families | {"*"})

    alone: dict[tuple[int, str, str], list[int]] = {}
    for who, (groups, families, _) in sorted(care.items()):
        place = int(people.department[who])
        if len(groups) == 1 and len(families) == 1 and hidden(place, families):
            alone.setdefault((next(iter(groups)), next(iter(families)), region_of()[places[place].code]), []).append(who)
    for (group, family, _), found in sorted(alone.items()):
        for one in found:
            for other in found:
                apart = people.department[one] != people.department[other] and care[one][2] < care[other][2] < 1.2 * care[one][2]
                if apart:
                    department, caisse = people.department.copy(), people.caisse.copy()
                    department[[one, other]], caisse[[one, other]] = department[[other, one]], caisse[[other, one]]
                    twin = dataclasses.replace(sector, population=dataclasses.replace(people, department=department, caisse=caisse))
                    changed = [(places[int(people.department[who])].code, code, year, *total) for who in (one, other) for code in (family, "*")]
                    return twin, group, changed
    raise AssertionError("no pair of patients lives under hidden cells only")


def fetched(groups, stranger: int, extra: list[tuple[str, ...]]) -> dict[tuple[str, str], tuple[int, bytes, list]]:
    """All that three readers are served."""
    names = ("zone", "produit", "periode", "age", "sexe", "regime", "mode")
    queries = ["&".join(f"{n}={c}" for n, c in zip(names, key, strict=True) if c != "*") for key in extra]
    everyone = ["/", "/methode/", "/chiffres/familles.csv", "/chiffres/departements.csv", "/carte.svg", "/inconnu/"]
    signed = [
        "/marche/", "/marche/?famille=PPC", "/marche/?zone=R84&famille=OXY",
        *(f"/api/v1/cells?{q}" for q in queries),
        *(f"/api/v1/sums?{q.replace('zone=', 'zone=FR,', 1)}" for q in queries), "/api/v1/sums?zone=01,03,07", "/api/v1/sums?zone=R84,R11",
    ]  # fmt: skip
    federation = Federation.objects.order_by("pk").first()
    readers = {
        "public": (None, everyone),
        "member": (User.objects.create_user("m@test.fr", "x", role=Role.MEMBER_ADMIN, whole_group=True, group=groups[stranger]), [*everyone, *signed, "/ma-position/"]),
        "federation": (
            User.objects.create_user("f@test.fr", "x", role=Role.VALIDATOR, federation=federation),
            [*everyone, *signed, "/publications/", "/publications/2025-03/secret/", "/publications/2025-03/publication.csv", "/publications/2025-03/specification.yaml"],
        ),
    }  # fmt: skip
    found = {}
    for name, (user, addresses) in readers.items():
        client = Client()
        if user:
            factors.give(user, factors.new_secret())
            client.force_login(user)
        for address in addresses:
            answer = client.get(address, follow=False)
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            found[name, address] = (answer.status_code, body, sorted((k, v) for k, v in answer.headers.items()))
    return found


@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_two_worlds_that_differ_in_what_is_hidden_are_served_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(csrf, "_get_new_csrf_string", lambda: "c" * 32)
    monkeypatch.setattr(csrf, "_mask_cipher_secret", lambda secret: secret + "c" * 32)
    sector = first_world()
    release, groups = run(sector, tmp_path / "one", monkeypatch)
    twin, group, changed = exchange(sector, release)
    stranger = next(n for n in range(len(groups)) if n != group)
    before = fetched(groups, stranger, changed)
    truth = _values(changed)
    _forget_everything()
    frozen._opened.cache_clear()
    again, groups = run(twin, tmp_path / "two", monkeypatch)
    after = fetched(groups, stranger, changed)
    assert _values(changed) != truth, "the two worlds must differ"
    assert again.digest == release.digest
    assert before.keys() == after.keys()
    different = [place for place in before if before[place] != after[place]]
    assert different == []
    assert {before["public", a][0] for a in ("/", "/methode/", "/chiffres/familles.csv")} == {200}
    assert before["federation", "/publications/2025-03/secret/"][0] == 200
    assert before["member", "/ma-position/"][0] == 200


def _values(changed: list[tuple[str, ...]]) -> list[int]:
    """The true figures of cells, hidden or not."""
    from belvedere.observatory.publication import computing, sealed

    release = Release.objects.get()
    lattice = computing.lattice_of_release(release)
    given = sealed.proof(release, lattice).table.given
    total = np.bincount(given.cell, weights=given.amount, minlength=len(lattice))
    return [int(total[lattice.index[key]]) for key in changed]


def _forget_everything() -> None:
    from django.core.management import call_command
    from django.db import connection

    from belvedere.observatory.exchange.models import KEPT_FOR_GOOD
    from belvedere.observatory.journal import guards

    guards.lift(connection, guards.TABLES | KEPT_FOR_GOOD)
    call_command("flush", verbosity=0, interactive=False, reset_sequences=True)
    guards.install(connection, guards.TABLES | KEPT_FOR_GOOD)
