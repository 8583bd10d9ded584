"""Bags, for archives without a system."""

import datetime as dt
import re

import pytest
from django.utils import timezone

from belvedere.engine.exchange import bag, seda
from belvedere.observatory.exchange import archives, intake, replies
from belvedere.observatory.exchange.models import (
    Deposit,
)
from tests.exchange import SSIAD, deposit, institution

pytestmark = pytest.mark.django_db


def test_archives_without_a_system_get_a_bag(service, data_folder, tmp_path):
    import bagit

    institution("ARCHIVES_DEPARTEMENTALES", department="75")
    archives.set_rule(department="75", months=0, fate="trier", since=dt.date(2020, 1, 1), by="test", container="bagit")
    intake.receive(service, deposit(range(1), name="clos", end=dt.date(2026, 9, 20)))
    made = archives.prepare(party=service, person=archives.due(service, timezone.localdate())[0], by="test")
    raw = archives.package(made, by="test")
    for name, content in seda.members(raw).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    held = bagit.Bag(str(tmp_path / made.reference))
    assert held.is_valid() and held.info["External-Identifier"] == made.reference, "the library of the Library of Congress agrees"
    read = bag.read(raw)
    assert {"dossier.json", "rendu.pdf", "preuve.json"} <= set(read.pieces) and read.finess == SSIAD and read.archives == "AD-75"
    assert any(content == intake.original(Deposit.objects.get()) for content in read.pieces.values()), "byte for byte"
    done = replies.answer(made, dict.fromkeys(read.pieces, "OK"), by="test")
    assert done.state == "accepted"
    with pytest.raises(archives.TransferRefused, match="Un paquet"):
        archives.set_rule(department="75", months=0, fate="trier", since=dt.date(2020, 1, 1), by="test", container="tar")


@pytest.mark.parametrize(("change", "why"), [
    (lambda held: held | {"V/data/rendu.pdf": b"autre"}, "data/rendu.pdf : l’empreinte diffère"), (lambda held: held | {"V/data/plus": b"x"}, "data/plus : présent et non annoncé"),
    (lambda held: {name: value for name, value in held.items() if name != "V/data/rendu.pdf"}, "data/rendu.pdf : annoncé et absent"),
    (lambda held: held | {"V/bag-info.txt": b"External-Identifier: autre\n"}, "bag-info.txt : l’empreinte diffère"),
    (lambda held: {name: value for name, value in held.items() if "manifest-sha512" not in name}, "manifest-sha512.txt manque"),
    (lambda held: held | {"ailleurs": b"x"}, "hors du dossier"), (lambda held: held | {"V/manifest-sha512.txt": b"x y\n"}, "une ligne n’est pas une empreinte"),
])  # fmt: skip
def test_a_bag_that_was_touched_is_refused(change, why):
    import io
    import zipfile

    header = seda.Header("V", timezone.now(), SSIAD, "AD-75", "Dossier", dt.date(2026, 1, 1), dt.date(2026, 2, 1), "conserver")
    held = change(seda.members(bag.package(header, [seda.Piece("dossier.json", "Données", b"{}"), seda.Piece("rendu.pdf", "Rendu", b"%PDF")])))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    with pytest.raises(seda.PackageRefused, match=re.escape(why)):
        bag.read(out.getvalue())
