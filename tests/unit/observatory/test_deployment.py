"""What a production needs: Django's own deployment check without a word, strict cookies, pins, and a list of ASVS that is true."""

import csv
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def in_production(code: str, tmp_path, **more: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELVEDERE")}
    environment |= {"BELVEDERE_DATA": str(tmp_path), "BELVEDERE_HTTPS": "1", "DJANGO_SETTINGS_MODULE": "belvedere.observatory.settings"} | more
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_deployment_check_is_clean(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELVEDERE")} | {"BELVEDERE_DATA": str(tmp_path)}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "INFO"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


def test_cookies_are_bound_to_their_host_behind_https(tmp_path):
    code = (
        "import django; django.setup(); from belvedere.cli.serve import prepare; prepare(); from django.test import Client; "
        "answer = Client(SERVER_NAME='localhost').get('/compte/login/', secure=True); print(answer.cookies); print(answer.headers['Strict-Transport-Security'])"
    )
    done = in_production(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "__Host-csrf=" in done.stdout and "Secure" in done.stdout and "SameSite=Lax" in done.stdout
    assert "max-age=31536000; includeSubDomains; preload" in done.stdout
    code = code.replace("secure=True", "secure=False").replace(
        "print(answer.headers['Strict-Transport-Security'])", "print(answer.status_code, answer.headers['Location'])"
    )
    assert "301 https://localhost/compte/login/" in in_production(code, tmp_path).stdout


def test_every_dependency_is_pinned_with_its_hash():
    text = (ROOT / "constraints.txt").read_text()
    pins = re.findall(r"^([\w.\-\[\]]+)==\S+", text, re.M)
    assert len(pins) > 50 and text.count("--hash=sha256:") >= len(pins)
    assert "://" not in text, "no address of a registry"


def test_the_list_of_asvs_names_tests_that_exist():
    rows = list(csv.DictReader((files("belvedere.portal") / "asvs.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) > 25
    for row in rows:
        path, _, name = row["test"].partition("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.M), row["test"]
