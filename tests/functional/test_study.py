"""The market study and the billing services in a browser: what everybody reads, what a vendor reads by its link, the story on screen."""

import io
import re

import openpyxl
from axe_playwright_python.sync_playwright import Axe
from pypdf import PdfReader

from belvedere.engine.services import BANNER
from belvedere.engine.study.definitions import definitions

VOLUMES = {one.code: {one.column(name).label for name in one.volumes} for one in definitions()}


def headers(page, code: str) -> list[str]:
    return page.locator(f"section:has(#{code}) thead th").all_text_contents()


def test_everybody_reads_the_study_without_any_volume(page_for, demo):
    page = page_for(None)
    assert page.goto(demo.url + "/etude/").status == 200
    told = {text.split()[0] for text in page.locator(".study-table h2").all_text_contents()}
    assert {"T01", "T01b", "T02", "T03c", "T04", "T05", "T06", "T07", "T08", "T08m", "T09", "T09c", "T10g", "T12", "T13"} <= told
    assert told.isdisjoint({"T03", "T03n", "T08x", "T10", "T11", "T11c"})
    for code in told:
        assert not VOLUMES[code] & set(headers(page, code)), code
    page.click("summary >> nth=0")
    page.click("text=T12 · Éditeurs non renseignés")
    assert page.url.endswith("#T12")
    page.locator("section:has(#T01) summary").click()
    assert "Un établissement compte une fois" in page.locator("section:has(#T01) dl").inner_text()
    book = openpyxl.load_workbook(io.BytesIO(page.request.get(demo.url + "/etude/etude.xlsx").body()))
    assert {"Lisez-moi", "T01", "T12"} <= set(book.sheetnames) and "T03" not in book.sheetnames
    text = " ".join(found.extract_text() for found in PdfReader(io.BytesIO(page.request.get(demo.url + "/etude/etude.pdf").body())).pages)
    assert "Établissements en télétransmission" in text and "Définition" in text and "masqué" in text


def test_the_operator_opens_a_vendor_s_link_and_closes_it(page_for, demo):
    page = page_for("Opérateur")
    page.goto(demo.url + "/exploitation/etude/")
    told = page.locator("main").inner_text()
    # Another test may have sent a month more: then it may be frozen, else there is nothing new to freeze.
    assert ("La suivante se figera" in told) != page.locator("button:has-text('Figer')").is_visible()
    vendor = page.locator("select[name=vendor] option").first.inner_text()
    page.select_option("select[name=vendor]", vendor)
    page.click("text=Ouvrir un lien")
    link = re.search(r"http\S+/etude/editeur/\S+/", page.locator(".notice code").inner_text())[0]
    reader = page_for(None, 390)
    assert reader.goto(link).status == 200
    assert reader.evaluate("document.documentElement.scrollWidth") <= 390
    assert vendor in reader.locator(".fresh").first.inner_text()
    for code in ("T03", "T08x"):
        names = {
            row.strip()
            for row in reader.locator(f"section:has(#{code}) tbody tr td:nth-child(2), section:has(#{code}) tbody tr th").all_text_contents()
        }
        assert vendor in names and not any(
            other in names for other in ("LOGIDOM", "PSADNET", "MEDIFLUX", "ORTHOFACT") if other != vendor and code == "T03"
        )
    assert Axe().run(reader).violations_count == 0
    page.locator("form:has(button[name=close]) button").first.click()
    assert reader.goto(link).status == 404


def test_the_operator_keeps_a_registry(page_for, demo):
    page = page_for("Opérateur")
    page.goto(demo.url + "/exploitation/etude/evenements/")
    page.fill("#f-titre", "Un salon professionnel")
    page.fill("#f-le", "2026-10-01")
    page.click("button:has-text('Ajouter')")
    assert "Ligne ajoutée" in page.locator("[role=status]").inner_text()
    page.locator("tr:has-text('Un salon professionnel') a").click()
    page.fill("#f-source", "annonce")
    assert Axe().run(page).violations_count == 0
    page.click("button:has-text('Rectifier')")
    assert "Ligne rectifiée" in page.locator("[role=status]").inner_text() and "annonce" in page.locator("main").inner_text()
    page.locator("tr:has-text('Un salon professionnel') a").click()
    page.click("button:has-text('Retirer la ligne')")
    assert "Un salon professionnel" not in page.locator("main").inner_text()


def test_the_story_is_read_step_by_step_and_says_what_is_simulated(page_for, demo):
    page = page_for(None)
    page.goto(demo.url + "/services/")
    assert BANNER in page.locator("main").inner_text() and page.locator(".services article").count() == 8
    page.click("text=Lire l’histoire jouée")
    assert page.locator(".story > li").count() == 9 and page.locator(".state:has-text('simulateur')").count() >= 5
    text = page.locator("main").inner_text()
    assert BANNER[1:] in text and "200 patients qui n’existent pas" in text and "rejets sont évités" in text and "engagés" in text
    assert not re.search(r"\b[12]\d{12}\b", text), "no number of a person"
    assert Axe().run(page).violations_count == 0
