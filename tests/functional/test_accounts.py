"""Accounts in the browser: the first second factor, a passkey on a virtual authenticator, every page of the account at both widths."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from belvedere.observatory.accounts import factors

PASSWORD = "quatre mots à retenir"


@pytest.fixture
def newcomer(demo):
    """An auditor that was just invited: (address, link)."""
    made = []

    def invite(name: str) -> tuple[str, str]:
        address = f"{name}@demo.belvedere.test"
        done = demo.belvedere("account", "add", address, "--role", "auditor", "--data", str(demo.folder), BELVEDERE_PUBLIC_URL=demo.url)
        assert done.returncode == 0, done.stderr
        made.append(address)
        return address, done.stdout.strip()

    yield invite
    for address in made:
        assert demo.belvedere("account", "close", address, "--data", str(demo.folder)).returncode == 0


def first_entry(page, demo, address: str, link: str) -> None:
    page.goto(link)
    page.fill("#id_password", PASSWORD)
    page.fill("#id_again", PASSWORD)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/compte/login/")
    page.fill("#id_login", address)
    page.fill("#id_password", PASSWORD)
    page.click("main form button[type=submit]")
    page.wait_for_load_state()


def open_again(page, path: str) -> None:
    """Go to a page of the account that asks for the password once more."""
    page.goto(path)
    if "/reauthenticate/" in page.url:
        page.fill("#id_password", PASSWORD)
        page.click("main form button[type=submit]")
        page.wait_for_url(lambda url: "/reauthenticate/" not in url)


def test_who_enters_first_sets_a_second_factor_before_anything_else(page_for, demo, newcomer):
    address, link = newcomer("premier")
    page = page_for(None)
    first_entry(page, demo, address, link)
    page.goto(demo.url + "/journal/")
    assert page.url.endswith("/compte/2fa/") and "second facteur" in page.locator("main").inner_text()
    open_again(page, demo.url + "/compte/2fa/totp/activate/")
    secret = page.locator("#authenticator_secret").input_value()
    page.fill("#id_code", factors.code(secret))
    page.click("main form button[type=submit]")
    page.wait_for_load_state()
    page.goto(demo.url + "/journal/")
    assert page.locator("h1").inner_text() == "Journal"


def test_a_passkey_is_added_and_opens_the_account_without_a_password(page_for, demo, newcomer):
    address, link = newcomer("cle")
    page = page_for(None)
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    authenticator = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]
    first_entry(page, demo, address, link)
    open_again(page, demo.url + "/compte/2fa/webauthn/add/")
    page.fill("#id_name", "Téléphone")
    page.check("#id_passwordless")
    page.click("#mfa_webauthn_add")
    page.wait_for_url(lambda url: "/add/" not in url)
    assert len(session.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})["credentials"]) == 1
    page.goto(demo.url + "/journal/")
    assert page.locator("h1").inner_text() == "Journal"
    page.click("text=Se déconnecter")
    page.wait_for_load_state()
    page.goto(demo.url + "/compte/login/")
    page.click("#passkey_login")
    page.wait_for_url(lambda url: "/login/" not in url)
    page.goto(demo.url + "/journal/")
    assert page.locator("h1").inner_text() == "Journal"


@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_of_the_account_is_french_accessible_and_fits(page_for, demo, width):
    import os

    page = page_for("Auditeur", width)
    page.goto(demo.url + "/compte/reauthenticate/")
    if page.locator("#id_password").count():
        page.fill("#id_password", demo.kept["password"])
        page.click("main form button[type=submit]")
        page.wait_for_load_state()
    paths = ("2fa/", "2fa/recovery-codes/", "2fa/webauthn/add/", "password/change/", "sessions/", "3rdparty/", "password/reset/", "login/")
    for path in paths:
        page.goto(f"{demo.url}/compte/{path}")
        text = page.locator("main").inner_text()
        assert not any(word in text for word in ("Sign In", "Password", "Recovery Codes", "Security Keys", "Sessions:", "Third-Party", "Name")), (
            path,
            text,
        )
        assert Axe().run(page).response["violations"] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        if folder := os.environ.get("BELVEDERE_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/compte-{path.strip('/').replace('/', '-')}-{width}.png", full_page=True)


def test_the_demo_tells_the_codes_of_the_moment(demo):
    told = demo.belvedere("demo", "--codes", "--data", str(demo.folder)).stdout
    assert len(told.splitlines()) == len(demo.kept["factors"]) and "operateur@" in told
