"""The promise, in a browser: each role walks its pages; a push changes its sender's page and nothing else."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from belvedere.engine.b2.framing import frame
from belvedere.engine.nomenclature.products import families, products
from belvedere.engine.nomenclature.territories import departments
from belvedere.engine.sector.billing import make_sector, month_file, month_lines
from belvedere.engine.warehouse.engine import UNIT_DAYS
from tests.flows import assert_no_identity, first_of, patched

WALKS = {
    None: [
        "/",
        "/methode/",
        "/catalogue/",
        "/catalogue/?q=prescripteur",
        "/catalogue/amount-amo/?par=departement",
        "/catalogue/share/",
        "/catalogue/amount-amo/figure/",
        "/lpp/",
        "/lpp/1187880/",
        "/accessibilite/",
        "/compte/login/",
        "/etude/",
        "/services/",
        "/services/histoire/",
        "/echanges/",
        "/echanges/donnees/?categorie=SANTE",
        "/echanges/habilitations/?actor=ARS&purpose=PILOTAGE&category=SANTE&grain=AGREGE&said=&inside=1",
    ],
    "Adhérent": [
        "/ma-position/",
        "/mes-flux/",
        "/mes-flux/?etat=accepted",
        "/mes-flux/brancher/",
        "/marche/",
        "/marche/?zone=R84&famille=PPC",
        "/marche/simulateur/",
        "/ma-position/familles/",
        "/ma-position/familles/PPC/",
        "/ma-position/territoires/",
        "/ma-position/prescripteurs/",
        "/ma-position/durees/",
        "/ma-position/facturation/",
        "/catalogue/tier-migration/",
        "/compte/2fa/",
    ],
    "Fédération": ["/marche/", "/publications/"],
    "Opérateur": ["/exploitation/", "/exploitation/echanges/", "/exploitation/matrice/", "/exploitation/etude/", "/exploitation/etude/produits/"],
    "Établissement": ["/echanges/depots/", "/echanges/portabilite/", "/echanges/versements/", "/echanges/effacement/"],
    "Institution": ["/echanges/reception/", "/echanges/jeux/"],
}


def rebuilt(demo):
    """The demonstration's sector again, from its seed."""
    import datetime as dt

    return make_sector(seed=demo.kept["seed"], first=dt.date.fromisoformat(demo.kept["first"]), providers=24, groups=16, months=24, patients=5000)


def shown(demo, sector):
    """Ranks of the providers of the group whose token and sign-in the demonstration keeps."""
    from belvedere.cli.demo import shown_group

    return [p.rank for p in sector.providers if p.group == shown_group(sector)]


def test_summary_has_what_was_promised(demo):
    assert {"members", "flows", "lines", "patients", "released_cells", "masked_cells", "audit", "seconds"} <= set(demo.summary)
    assert demo.summary["audit"] == "clean"
    assert demo.summary["members"] == 24
    assert demo.summary["released_cells"] > 0 and demo.summary["masked_cells"] > 0


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("role", WALKS, ids=lambda role: role or "public")
def test_every_page_is_accessible_and_fits(page_for, demo, role, width):
    page = page_for(role, width)
    for path in WALKS[role]:
        answer = page.goto(demo.url + path)
        assert answer.status == 200, path
        violations = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in violations] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} overflows at {width}"
        assert page.locator("h1").count() == 1


@pytest.mark.parametrize(
    "role, path", [("Adhérent", "/exploitation/"), ("Adhérent", "/publications/"), ("Fédération", "/ma-position/"), ("Opérateur", "/marche/")]
)
def test_no_role_enters_anothers_pages(page_for, demo, role, path):
    page = page_for(role)
    assert page.request.get(demo.url + path).status == 403


def test_a_receipt_of_another_is_not_found_and_visitors_must_sign_in(page_for, demo):
    page = page_for("Adhérent")
    page.goto(demo.url + "/mes-flux/")
    own = {int(number) for number in re.findall(r"/mes-flux/(\d+)/", page.content())}
    assert page.request.get(f"{demo.url}/mes-flux/{min(own)}/").status == 200
    foreign = next(number for number in range(1, 999) if number not in own)
    assert page.request.get(f"{demo.url}/mes-flux/{foreign}/").status == 404
    assert "/compte/login/" in page_for(None).request.get(f"{demo.url}/mes-flux/{min(own)}/").url


def number(text: str) -> int:
    return int(re.sub(r"[^\d]", "", text))


def test_every_own_number_equals_the_generators_truth(page_for, demo):
    """Whatever other tests pushed before: the page shows twelve months up to the last one that was sent."""
    sector = rebuilt(demo)
    last = max((month for _, month in demo.pushed), default=23)
    people, codes, labels = sector.population, [item.code for item in departments()], families()
    patients, days, amo = set(), 0, 0
    by_family: dict[str, set] = {}
    by_department: dict[str, set] = {}
    for rank in shown(demo, sector):
        for month in range(last - 11, last + 1):
            if month > 23 and (rank, month) not in demo.pushed:
                continue
            truth = month_lines(sector, rank, month)
            persons = people.patient[truth["episode"]]
            patients |= set(persons.tolist())
            days += sum(int(units) * UNIT_DAYS[products()[int(code)].unit] for units, code in zip(truth["units"], truth["lpp"], strict=True))
            amo += int(truth["amo"].sum())
            for family, person in zip(people.family[truth["episode"]].tolist(), persons.tolist(), strict=True):
                by_family.setdefault(list(labels)[family], set()).add(person)
            for person in persons.tolist():
                by_department.setdefault(codes[people.department[person]], set()).add(person)
    page = page_for("Adhérent")
    page.goto(demo.url + "/ma-position/")
    tiles = {tile.locator("h2").inner_text(): tile.locator(".val").inner_text() for tile in page.locator(".tile").all()}
    assert number(tiles["Patients suivis"]) == len(patients)
    assert number(tiles["Semaines de traitement"]) == round(days / 7)
    csv = page.request.get(demo.url + "/ma-position/familles.csv").text().splitlines()[1:]
    assert {row.split(",")[0]: int(row.split(",")[2]) for row in csv} == {code: len(found) for code, found in by_family.items()}
    assert round(sum(float(row.split(",")[3]) for row in csv) * 100) == amo
    csv = page.request.get(demo.url + "/ma-position/departements.csv").text().splitlines()[1:]
    assert {row.split(",")[0]: int(row.split(",")[2]) for row in csv} == {code: len(found) for code, found in by_department.items()}


def test_every_market_number_is_in_the_release(page_for, demo):
    assert page_for(None).request.get(demo.url + "/api/v1/cells").status == 401
    assert page_for("Opérateur").request.get(demo.url + "/api/v1/cells").status == 401
    page = page_for("Fédération")
    page.goto(demo.url + "/")
    rows = page.request.get(demo.url + "/chiffres/familles.csv").text().splitlines()[1:]
    masked = 0
    for row in rows:
        code, _, patients, _ = row.split(",")
        cell = page.request.get(f"{demo.url}/api/v1/cells?produit={code}").json()
        assert cell["masked"] == (patients == "masqué")
        if cell["masked"]:
            assert cell["measures"] is None
            masked += 1
        else:
            assert cell["measures"]["patients"] == int(patients)
    regions = page.request.get(demo.url + "/chiffres/departements.csv").text()
    assert len(regions.splitlines()) == 102
    assert page.request.get(f"{demo.url}/api/v1/cells?produit=PPC&zone=69&age=75%2B").status == 404
    assert page.request.get(f"{demo.url}/api/v1/cells?nope=1").status == 400


def test_push_changes_the_senders_page_within_five_seconds_and_nothing_else(page_for, demo, tmp_path):
    sector = rebuilt(demo)
    rank = next(r for r in shown(demo, sector) if sector.providers[r].norm == "FR")
    clear = month_file(sector, rank, 24)
    file = tmp_path / "nouveau.b2"
    file.write_bytes(clear)
    visitor, mine = page_for(None), page_for("Adhérent")
    public_before = visitor.request.get(demo.url + "/").text()
    market_before = mine.request.get(demo.url + "/api/v1/cells").json()
    mine.goto(demo.url + "/ma-position/")
    before = mine.locator(".lead").inner_text()

    started = time.monotonic()
    pushed = demo.push(file)
    answer = json.loads(pushed.stdout)
    assert (pushed.returncode, answer["state"]) == (0, "accepted"), pushed.stderr
    demo.pushed.add((rank, 24))
    assert answer["records"] == len(frame(clear))
    mine.reload()
    assert time.monotonic() - started < 10  # five alone: here two test processes, houses and browsers share the cores
    assert mine.locator(".lead").inner_text() != before
    assert visitor.request.get(demo.url + "/").text() == public_before
    assert mine.request.get(demo.url + "/api/v1/cells").json() == market_before

    after = mine.locator("main").inner_text()
    again = demo.push(file)
    assert (again.returncode, json.loads(again.stdout)["state"]) == (1, "duplicate")
    mine.reload()
    assert mine.locator(".tiles").inner_text() in after

    other = next(r for r in range(24) if r not in shown(demo, sector) and month_file(sector, r, 24))
    bad = {
        "A504": patched(clear, first_of(clear, "5"), 58, "00000001"),
        "F001": clear[:-1],
        "K201": patched(clear, first_of(clear, "2"), 25, "00"),
        "P601": month_file(sector, other, 24),
        "F000": b"",
    }
    for code, content in bad.items():
        file.write_bytes(content)
        refused = demo.push(file)
        answer = json.loads(refused.stdout)
        assert (refused.returncode, answer["state"]) == (2, "refused"), code
        assert code in [item["code"] for item in answer["findings"]]
        if code == "A504":
            assert [item["record"] for item in answer["findings"] if item["code"] == "A504"] == [first_of(clear, "5")]
    mine.reload()
    assert mine.locator(".tiles").inner_text() in after


def test_no_identity_in_the_data_folder_or_the_logs(demo):
    people = rebuilt(demo).population
    assert_no_identity(demo.folder, people)


def test_no_process_of_the_server_may_dump_its_memory(demo):
    family = [
        demo.process.pid,
        *map(int, subprocess.run(["pgrep", "-P", str(demo.process.pid)], capture_output=True, text=True, check=True).stdout.split()),
    ]
    assert len(family) >= 3, "server, worker and gate"
    for pid in family:
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0\s", limits), pid


def test_second_run_reuses_the_data(demo):
    again = demo.belvedere("demo", "--no-serve", "--json", "--data", str(demo.folder))
    assert again.returncode == 0
    assert json.loads(again.stdout)["reused"] is True


def test_help_is_french_and_misuse_has_its_code(demo):
    shown_help = demo.belvedere("push", "--help")
    assert "utilisation :" in shown_help.stdout and "affiche cette aide" in shown_help.stdout
    assert demo.belvedere("push").returncode == 64
    assert demo.belvedere("release", "audit", demo.kept["summary"].get("label", "1999-01"), "--data", str(demo.folder)).returncode == 2


def test_the_audit_can_be_replayed_from_the_command_line(demo):
    listed = demo.belvedere("release", "list", "--json", "--data", str(demo.folder))
    label = json.loads(listed.stdout.splitlines()[0])["label"]
    assert demo.belvedere("release", "audit", label, "--data", str(demo.folder)).returncode == 0


@pytest.mark.parametrize("width", [1440, 390])
def test_a_statistician_reads_the_protection_and_replays_it(page_for, demo, tmp_path, width):
    page = page_for("Fédération", width)
    page.goto(demo.url + "/publications/")
    page.click("text=Ce que la protection garantit")
    page.wait_for_load_state()
    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("tbody tr", has_text="A28").count() == 1
    if folder := os.environ.get("BELVEDERE_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/secret-{width}.png", full_page=True)
    kept = {}
    for kind in ("csv", "yaml"):
        with page.expect_download() as waiting:
            page.click(f"main a[href$='.{kind}']")
        kept[kind] = tmp_path / f"publication.{kind}"
        waiting.value.save_as(kept[kind])
    assert demo.belvedere("secrecy", "audit", str(kept["csv"]), "--spec", str(kept["yaml"])).returncode == 0
    lines = kept["csv"].read_text().splitlines()
    header = lines[0].split(",")
    sibling = next(rank for rank, line in enumerate(lines) if line.startswith("FR,") and ",masked," in line)
    opened = [line.replace(",masked,", ",published,") if line.startswith("FR,") and rank != sibling else line for rank, line in enumerate(lines)]
    assert header[7] == "status"
    kept["csv"].write_text("\n".join(opened) + "\n")
    found = demo.belvedere("secrecy", "audit", str(kept["csv"]), "--spec", str(kept["yaml"]))
    assert found.returncode == 2 and "déduite par différence" in found.stdout
