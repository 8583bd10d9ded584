"""Our envelopes beside those that public clients write: the same elements, at the same places."""

import datetime as dt
import re

import pytest
from lxml import etree

from belvedere.engine.exchange.identifiers import ins_valid
from belvedere.engine.services import soap
from belvedere.engine.services.identity import Identity, Traits, recovered
from belvedere.engine.services.rights import Question
from tests.conftest import SHARED

FOLDER = SHARED / "sesam" / "fixtures"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="shared/data absent : les enveloppes des clients publics ne sont pas là")
SOFTWARE, NOW = (
    soap.Software("NUMERO_AUTORISATION", "1.0", "33333333-3333-4333-8333-333333333333", "SIMULATEUR"),
    dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC),
)
TRAITS = Traits("D'ARTAGNAN DE L'HERAULT", "PIERRE-ALAIN", "M", dt.date(2001, 6, 17))
# What differs from one call to the next.
_MOVING = re.compile(r"(uuid:)?[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d{2}-\d{2}T[0-9:.]+Z")


def leaves(raw: bytes) -> set[tuple[str, str]]:
    """(path, text) of every element without children, what moves left out."""
    root = etree.fromstring(raw, etree.XMLParser(remove_comments=True))
    tree = root.getroottree()
    name = lambda element: "/".join(re.sub(r"\[\d+\]", "", part) for part in tree.getelementpath(element).split("/"))  # noqa: E731
    return {(name(one), _MOVING.sub("…", one.text or "")) for one in root.iter() if not len(one) and one is not root}


def test_a_consultation_of_rights():
    asked = Question("010000001", "A", "2550199999999", dt.date(2026, 11, 21), "51", "550115", "1")
    ours = soap.rights_request(asked, SOFTWARE, NOW, regime="01", caisse="349", centre="9881")
    assert leaves(ours) == leaves((FOLDER / "adri_acquerir_droits_requete.xml").read_bytes())


def test_a_search_of_identity():
    fixture = leaves((FOLDER / "insi_recherche_traits_requete.xml").read_bytes())
    ours = leaves(
        soap.identity_request(TRAITS, soap.Software("NUMERO_AUTORISATION", "2022", SOFTWARE.instance, "urn:lps:simulateur:2022"), "10B0152872", NOW)
    )
    assert ours == fixture


def test_an_answer_of_identity():
    code, ins, oid, traits = soap.identity_answer((FOLDER / "insi_recherche_traits_reponse.xml").read_bytes())
    assert (code, ins, oid) == ("00", "101066322075460", "1.2.250.1.213.1.4.8") and ins_valid(ins) and traits
    assert recovered(Identity(TRAITS), ins, traits).state == "recuperee"
    for raw in (b"<a/>", b"<a>", b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>'):
        with pytest.raises(ValueError, match="réponse"):
            soap.identity_answer(raw)


def test_a_look_up_of_a_complementary_body():
    ours = soap.directory_request("99999999", "XX", "00000001", "DRE", "V1.0", SOFTWARE, dt.date(2026, 11, 21))
    assert leaves(ours) == leaves((FOLDER / "annuaire_amc_recherche_requete.xml").read_bytes())
