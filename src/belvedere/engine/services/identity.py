"""INSi and the identity of a person: states, local rules, and the fake cards of a reader (reference §3.2, §3.7)."""

import datetime as dt
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from belvedere.engine.exchange.identifiers import ins_valid

OID = "1.2.250.1.213.1.4.8"
# The state of an identity: who may say what (from the national repository of identity vigilance; to be verified against its text).
MOVES = {
    ("provisoire", "INSI"): "recuperee", ("provisoire", "PIECE"): "validee", ("recuperee", "PIECE"): "qualifiee", ("validee", "INSI"): "qualifiee",
    ("qualifiee", "DOUTE"): "provisoire", ("recuperee", "DOUTE"): "provisoire", ("validee", "DOUTE"): "provisoire",
}  # fmt: skip


@dataclass(frozen=True)
class Traits:
    """Strict traits: birth name, first given name, sex, birth date, INSEE code of the birth place ("": unknown)."""

    family: str
    given: str
    sex: str
    born: dt.date
    place: str = ""


@dataclass(frozen=True)
class Identity:
    """A person in a software: its traits, its state, its INS when it has one, and the INS it had before."""

    traits: Traits
    state: str = "provisoire"
    ins: str = ""
    oid: str = ""
    history: tuple[str, ...] = ()


class IdentityRefused(Exception):
    """The identity cannot change so; says why, in French."""


def plain(text: str) -> str:
    """Traits as the service compares them: capitals without accents, hyphens and apostrophes as blanks."""
    bare = unicodedata.normalize("NFKD", text.upper()).encode("ascii", "ignore").decode()
    return " ".join(bare.replace("-", " ").replace("'", " ").split())


def same(one: Traits, other: Traits) -> bool:
    """Whether two sets of strict traits agree; a place that is not told agrees with any."""
    places = not one.place or not other.place or one.place == other.place
    first = lambda traits: plain(traits.given).split(" ")[0] if traits.given else ""  # noqa: E731
    return plain(one.family) == plain(other.family) and first(one) == first(other) and one.sex == other.sex and one.born == other.born and places


def found(people: Iterable[tuple[Traits, str]], asked: Traits) -> tuple[str, str]:
    """(result code, INS or "") of a search by traits: 00 one, 01 none, 02 several."""
    numbers = sorted({ins for traits, ins in people if same(traits, asked)})
    return ("00", numbers[0]) if len(numbers) == 1 else ("02" if numbers else "01", "")


def moved(identity: Identity, by: str) -> Identity:
    """The identity after a verification: INSI, PIECE (a paper seen) or DOUTE. IdentityRefused."""
    state = MOVES.get((identity.state, by))
    if state is None:
        raise IdentityRefused(f"Une identité {identity.state} ne change pas par {by}.")
    return replace(
        identity,
        state=state,
        ins="" if state == "provisoire" else identity.ins,
        history=_kept(identity) if state == "provisoire" else identity.history,
    )


def _kept(identity: Identity) -> tuple[str, ...]:
    return (*identity.history, identity.ins) if identity.ins and identity.ins not in identity.history else identity.history


def recovered(identity: Identity, ins: str, traits: Traits) -> Identity:
    """What INSi returned, written down: traits are never replaced by others, the key is verified, a former INS is kept. IdentityRefused."""
    if not ins_valid(ins):
        raise IdentityRefused("La clé du matricule est fausse.")
    if not same(identity.traits, traits):
        raise IdentityRefused("Les traits rendus diffèrent de ceux du dossier : rien n’est remplacé, vérifiez l’identité.")
    made = moved(identity, "INSI")
    return replace(made, ins=ins, oid=OID, history=_kept(identity) if identity.ins and identity.ins != ins else made.history)


def test_identities() -> list[tuple[Traits, str]]:
    """The identities of the simulator: that of the public test client, and invented ones with a valid key."""
    held = json.loads((files(__package__) / "identities.json").read_text(encoding="utf-8"))
    return [(Traits(one["family"], one["given"], one["sex"], dt.date.fromisoformat(one["born"]), one["place"]), one["ins"]) for one in held]


@dataclass(frozen=True)
class Card:
    """What a card says: insured identity and rights, complementary rights, and what a professional's card alone opens."""

    insured: Mapping[str, object]
    complementary: Mapping[str, object]
    medical: Mapping[str, object]
    version: str


class CardReader(Protocol):
    """A reader of Vitale cards: the real one is a licensed library; ours reads fake cards, and says so."""

    def read(self, *, professional: bool) -> Card: ...


@dataclass(frozen=True)
class FakeReader:
    """Fake cards in JSON (the shipped one without a path); the medico-administrative block opens with a professional's card alone."""

    path: Path | None = None
    version: str = "6.20"

    def read(self, *, professional: bool) -> Card:
        held = json.loads((self.path or files(__package__) / "carte-test.json").read_text(encoding="utf-8"))
        return Card(held["assure"], held.get("complementaire", {}), held.get("medico_administratif", {}) if professional else {}, self.version)
