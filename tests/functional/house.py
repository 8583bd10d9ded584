"""A served observatory for the story, and the steps that its people take in the browser."""

import email
import email.policy
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe

from belvedere.engine.sector.billing import month_file
from belvedere.observatory.accounts import factors
from tests.functional.seed_sector import PASSWORD, SECRETS, story_sector

OVERFLOWING = """document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('*')]
  .filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.tagName + '.' + e.className + ' ' + (e.id || e.name || ''))"""


class House:
    """A served observatory, its mailbox, and what the story learns on its way."""

    def __init__(self, folder: Path, url: str, environment: dict[str, str], letters: list) -> None:
        self.folder, self.url, self.environment, self.letters = folder, url, environment, letters
        self.sector = story_sector()
        count = Counter(p.group for p in self.sector.providers)
        self.group = next(number for number, entities in sorted(count.items()) if entities >= 3)
        self.alone = next(number for number, entities in sorted(count.items()) if entities == 1)
        self.secrets, self.tokens, self.flows, self.used = dict(SECRETS), {}, {}, set()

    def providers(self, group: int) -> list:
        return [p for p in self.sector.providers if p.group == group]

    def belvedere(self, *arguments: str, **more: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "belvedere", *arguments]
        return subprocess.run(command, env=self.environment | more, capture_output=True, text=True, check=False, timeout=240)

    def letter(self, to: str, about: str) -> str:
        """The text of the newest message to somebody; waits for it."""
        for _ in range(150):
            for raw in reversed(self.letters):
                message = email.message_from_bytes(raw, policy=email.policy.default)
                if message["To"] == to and about in message["Subject"]:
                    return message.get_content()
            time.sleep(0.1)
        raise AssertionError(f"no message to {to} about {about}")

    def link(self, to: str, about: str) -> str:
        return re.search(r"https?://\S+", self.letter(to, about))[0]

    def call(self, method: str, path: str, token: str = "") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url + path, method=method, headers=headers, data=b"" if method != "GET" else None)
        try:
            return urllib.request.urlopen(request, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code


def sign_in(page, house: House, who: str, password: str = PASSWORD) -> None:
    address = who if "@" in who else f"{who}@story.test"
    page.goto(house.url + "/compte/login/")
    page.fill("#id_login", address)
    page.fill("#id_password", password)
    page.click("main form button[type=submit]")
    page.wait_for_selector("#id_code")
    code = factors.code(house.secrets[who])
    while (who, code) in house.used:  # a code is good once: wait for the next half-minute
        time.sleep(1)
        code = factors.code(house.secrets[who])
    house.used.add((who, code))
    page.fill("#id_code", code)
    page.click("main form button[type=submit]")
    page.wait_for_load_state()


def looked_at(page, house: House, name: str) -> None:
    """At both widths: no axe violation, no overflow; a picture when a folder is given."""
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERFLOWING) == [], (name, width)
        if folder := os.environ.get("BELVEDERE_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)
    assert Axe().run(page).response["violations"] == [], name


def enrol(page, house: House, group: int, federation: str, who: str) -> None:
    """The public form, rows checked in the page, then the convention signed and a key made."""
    own = house.providers(group)
    page.goto(house.url + "/adherer/")
    looked_at(page, house, "adherer")
    page.select_option("#id_is_group", "1" if len(own) > 1 else "0")
    page.fill("#id_name", own[0].group_name)
    page.fill("#id_siren", own[0].siren)
    page.fill("#id_address", "12 rue des Lilas")
    page.fill("#id_postcode", "44000")
    page.fill("#id_city", "Nantes")
    page.select_option("#id_federation", label=federation)
    page.fill("#id_vendor", "Logiciel X")
    page.fill("#id_signatory", "Anne Le Goff")
    page.fill("#id_signatory_title", "présidente")
    page.fill("#id_signatory_email", who)
    page.check("#id_legal")
    rows = [f"{p.siren};;{p.finess:09d};{p.name}" for p in own]
    page.fill("#id_entities", "\n".join([*rows, "123;;1;"]))
    page.click("button[name=check]")
    page.wait_for_load_state()
    assert "neuf chiffres" in page.locator("tbody tr").last.inner_text()
    looked_at(page, house, "adherer-lignes")
    page.fill("#id_entities", "\n".join(rows))
    page.click("text=Envoyer et recevoir la convention")
    page.wait_for_url("**/adherer/merci/")
    looked_at(page, house, "adherer-merci")
    page.goto(house.link(who, "Signer la convention"))
    looked_at(page, house, "signer")
    house.secrets[who] = page.locator(".token").inner_text()
    text = page.request.get(page.locator("a", has_text="Ouvrir la convention").evaluate("a => a.href"))
    assert text.body().startswith(b"%PDF")
    for box in ("read", "legal", "electronic"):
        page.check(f"#id_{box}")
    page.fill("#id_typed", "Anne Le Goff")
    page.fill("#id_code", factors.code(house.secrets[who]))
    page.click("button:has-text('Signer la convention')")
    page.wait_for_load_state()
    assert page.locator("h1").inner_text() == "Convention signée. Reste votre flux"
    page.click("text=Créer une clé")
    page.wait_for_load_state()
    house.tokens[who] = page.locator("#jeton").inner_text()
    looked_at(page, house, "brancher")
    page.fill("#id_emails", f"lecteur-{who}")
    page.click("text=Enregistrer la liste")


def push(house: House, group: int, who: str, months, tmp_path) -> list[dict]:
    """`belvedere push` of a group's files with its own token."""
    files = []
    for provider in house.providers(group):
        for month in months:
            files.append(tmp_path / f"{provider.finess}-{month}.b2")
            files[-1].write_bytes(month_file(house.sector, provider.rank, month))
    pushed = house.belvedere("push", *map(str, files), "--server", house.url, "--json", BELVEDERE_TOKEN=house.tokens[who])
    answers = [json.loads(line) for line in pushed.stdout.splitlines()]
    assert len(answers) == len(files) and {answer["state"] for answer in answers} <= {"accepted", "remarks"}, pushed.stdout + pushed.stderr
    house.flows[who] = [answer["receipt"] for answer in answers]
    return answers


def enter(page, house: House, who: str) -> None:
    """The invitation that the first flow brought: a password, then the authenticator of the signature."""
    page.goto(house.link(who, "Votre compte"))
    page.fill("#id_password", PASSWORD)
    page.fill("#id_again", PASSWORD)
    page.click("text=Ouvrir mon compte")
    page.wait_for_url("**/compte/login/")
    sign_in(page, house, who)
