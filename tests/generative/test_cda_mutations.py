"""Each single mutation of the guide's CDA example: nothing read changes, or the rules of `tests/spec/cda_mutations.csv` tell it, or it is declared free there."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from belvedere.engine.exchange import cda, sample
from belvedere.engine.exchange.seda import PackageRefused
from tests import spec
from tests.exchange import SSIAD
from tests.unit.engine.test_exchange import EXAMPLES, here, told

LONG = os.environ.get("BELVEDERE_LONG") == "1"


def rows() -> list[tuple[re.Pattern[str], dict[str, str]]]:
    with Path(spec.__file__).with_name("cda_mutations.csv").open(encoding="utf-8") as stream:
        return [(re.compile(re.escape(row["place"]).replace(r"\*\*", ".*").replace(r"\*", "[^/]+")), row) for row in csv.DictReader(stream)]


def sound() -> bytes:
    """The guide's document with an INS and a FINESS whose keys are right: its own are made up."""
    raw = (EXAMPLES / "fhir" / "tddui-cda" / "CDA_TDDUI_Exemple_v1.0.1.xml").read_bytes()
    raw = raw.replace(b'extension="147720425367411"', f'extension="{sample.resident(3).ins}"'.encode())
    return raw.replace(b'extension="1480787529"', f'extension="1{SSIAD}"'.encode())


def read(raw: bytes) -> dict | None:
    """What a document is read as, without the number of its deposit; None when it is refused."""
    try:
        return {name: value for name, value in json.loads(cda.to_bundle(raw)).items() if name != "identifier"}
    except PackageRefused:
        return None


def place_of(element: etree._Element) -> str:
    steps = [etree.QName(one).localname for one in (element, *element.iterancestors())]
    return "/".join(reversed(steps[:-1]))


def mutations(root: etree._Element) -> Iterator[tuple[str, str, str]]:
    """(place, part, mutation), the document being so changed until the next one is asked."""
    for element in [one for one in root.iter() if isinstance(one.tag, str) and one is not root]:
        place, parent = place_of(element), element.getparent()
        if not LONG and place.count("entryRelationship") > 1:
            continue  # forty times the same grid: the long run has them
        rank, tail = parent.index(element), element.tail
        parent.remove(element)
        yield place, "element", "deleted"
        parent.insert(rank, element)
        element.tail = tail
        if text := (element.text or "").strip():
            for mutation, other in (("deleted", ""), ("garbled", text + "x")):
                element.text = other
                yield place, "text", mutation
            element.text = text
        for name, value in list(element.attrib.items()):
            del element.attrib[name]
            yield place, etree.QName(name).localname, "deleted"
            element.attrib[name] = value + "x"
            yield place, etree.QName(name).localname, "garbled"
            element.attrib[name] = value


@here
@pytest.mark.parametrize(("value", "rules"), [("20230414103000+0200", set()), ("hier", {"tddui-encounter-01"})])
def test_an_event_at_one_moment(value, rules):
    """It begins and ends there; one that cannot be read is told, and fails nothing."""
    root = etree.fromstring(sound())
    held = root.find(".//c:section/c:entry/c:encounter/c:effectiveTime", {"c": cda.V3})
    for part in list(held):
        held.remove(part)
    held.set("value", value)
    act = root.find(".//c:entry/c:encounter/c:entryRelationship/c:act/c:effectiveTime", {"c": cda.V3})
    assert act is not None and told(read(etree.tostring(root))) == rules


@here
def test_each_single_mutation_of_the_document_is_told_by_its_rules():
    raw, table = sound(), rows()
    base = read(raw)
    assert base is not None and told(base) == set() and cda.unread(raw) == []
    root, met, counted, wrong = etree.fromstring(raw), set[int](), Counter[str](), list[str]()
    for place, part, mutation in mutations(root):
        mutant = etree.tostring(root)
        made = read(mutant)
        found = {"refused"} if made is None else told(made) if made != base else set()
        if made is not None and (made != base or place.endswith("/code")):
            found |= {"tddui-cda-01"} if cda.unread(mutant) else set()
        if made == base and not found:
            counted["unread"] += 1
            continue
        claims = (
            rank for rank, (pattern, row) in enumerate(table)
            if pattern.fullmatch(place) and row["part"] in ("*", part) and row["mutation"] in ("*", mutation)
        )  # fmt: skip
        rank = next(claims, None)
        if rank is None or " ".join(sorted(found)) not in table[rank][1]["rules"].split("|"):
            wrong.append(f"{place} {part} {mutation}: {' '.join(sorted(found)) or 'nothing'}")
        else:
            met.add(rank)
            counted["told" if found else "free"] += 1
    assert not wrong, "\n".join(wrong)
    assert met == set(range(len(table))), [table[rank][1] for rank in range(len(table)) if rank not in met]
    assert counted["told"] > 100 and counted["free"] < 60, counted
