"""A real demonstration: generated, sent, protected, served, and opened in Chromium."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from belvedere.observatory.accounts import factors
from tests.surroundings import clean_environment, free_ports

ROOT = Path(__file__).resolve().parents[2]
SIZE = ["--providers", "24", "--groups", "16", "--patients", "5000", "--seed", "5"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


class Demo:
    """A served demonstration: its folder, address, summary and sign-ins."""

    def __init__(self, folder: Path, port: int, smtp: int, sftp: int) -> None:
        self.folder, self.url, self.smtp, self.sftp = folder, f"http://localhost:{port}", smtp, sftp
        self.kept = json.loads((folder / "demo.json").read_text())
        self.summary = self.kept["summary"]
        self.signed_in: dict[str, dict] = {}  # cookies by role: a code of the authenticator is good once
        self.pushed: set[tuple[int, int]] = set()  # (provider, month) that tests sent after the demonstration

    def belvedere(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Run the command line as a user would."""
        return subprocess.run(
            [sys.executable, "-m", "belvedere", *arguments],
            env={**clean_environment(), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def push(self, *files: Path) -> subprocess.CompletedProcess:
        """`belvedere push` with the shown member's token."""
        return self.belvedere("push", *map(str, files), "--server", self.url, "--json", BELVEDERE_TOKEN=self.kept["token"])


def sign_in(page, demo: Demo, role: str) -> None:
    """Password, then the code of the authenticator."""
    page.goto(demo.url + "/compte/login/")
    page.fill("#id_login", demo.kept["sign_ins"][role])
    page.fill("#id_password", demo.kept["password"])
    page.click("main button[type=submit]")
    page.wait_for_selector("#id_code")
    page.fill("#id_code", factors.code(demo.kept["factors"][role]))
    page.click("main button[type=submit]")
    page.wait_for_load_state()


def _made(tmp_path_factory) -> Path:
    """The demonstration as it is made, once for all the processes that run tests: each serves a copy of its own."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    folder = tmp_path_factory.mktemp("made") / "demo" if alone else tmp_path_factory.getbasetemp().parent / "demo-made"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "demo.json").exists():
            made = subprocess.run(
                [sys.executable, "-m", "belvedere", "demo", "--no-serve", "--json", "--data", str(folder), *SIZE],
                env=clean_environment(), capture_output=True, text=True, check=False, timeout=400,
            )  # fmt: skip
            assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(_made(tmp_path_factory), folder, dirs_exist_ok=True)
    port, smtp, sftp = free_ports(3)
    log = (folder / "serve.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "belvedere", "serve", "--data", str(folder), "--port", str(port), "--smtp", str(smtp), "--sftp", str(sftp)],
        env=clean_environment() | {"BELVEDERE_WEBHOOK_PRIVATE": "1"}, stdout=log, stderr=log,
    )  # fmt: skip
    served = Demo(folder, port, smtp, sftp)
    served.process = process
    for _ in range(300):
        try:
            urllib.request.urlopen(served.url + "/sante/", timeout=2)
            break
        except OSError:
            time.sleep(0.2)
    yield served
    process.terminate()
    process.wait(timeout=30)
    log.close()


@pytest.fixture(scope="module")
def browser():
    """Closed with its module: Playwright keeps an event loop running in the thread, in which neither the database nor
    `asyncio.run` of other tests may be called."""
    path = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    assert path, "Chromium is missing: run make browser"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page_for(demo, browser):
    """Open a page as a role (None: nobody) at a width; fails the test on any console error."""
    contexts, errors = [], []

    def make(role: str | None, width: int = 1440):
        state = demo.signed_in.get(role) if role else None
        context = browser.new_context(viewport={"width": width, "height": 900}, locale="fr-FR", storage_state=state)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if role and not state:
            sign_in(page, demo, role)
            demo.signed_in[role] = context.storage_state()
        return page

    yield make
    for context in contexts:
        context.close()
    assert [error for error in errors if "404" not in error] == []
