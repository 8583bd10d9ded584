"""The units and the Compose file: what they run exists, and systemd finds nothing to say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from belvedere.cli import parser
from belvedere.observatory.environment import SETTINGS

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SERVICES = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_a_command_that_exists(unit):
    (command,) = re.findall(r"^ExecStart=/opt/belvedere/.venv/bin/belvedere (.+)$", unit.read_text(), re.MULTILINE)
    assert parser().parse_args(command.split()).run
    assert "NoNewPrivileges=yes" in unit.read_text() and "User=belvedere" in unit.read_text()


@pytest.mark.parametrize("unit", [*UNITS, DEPLOY / "systemd" / "belvedere-maintain.timer"], ids=lambda path: path.name)
def test_systemd_accepts_the_unit(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze manque sur cette machine")
    for each in (DEPLOY / "systemd").iterdir():
        (tmp_path / each.name).write_text(each.read_text().replace("/opt/belvedere/.venv/bin/belvedere", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "belvedere" in line]
    assert done.returncode == 0 and not said, done.stderr


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "command" in service])
def test_a_service_runs_a_command_that_exists(name):
    assert parser().parse_args(SERVICES[name]["command"]).run
    assert SERVICES[name]["read_only"] and SERVICES[name]["cap_drop"] == ["ALL"]


def test_the_example_of_settings_names_real_ones():
    names = re.findall(r"^(BELVEDERE_\w+)=", (DEPLOY / "belvedere.env.example").read_text(), re.MULTILINE)
    assert names and set(names) <= {setting.name for setting in SETTINGS}
