"""Pages at size: a member's page and a market page under eight concurrent readers, over a synthetic observatory of 36 months, while flows come.

The lines are those of the synthetic sector, written as fact files (one a provider and month, as flows leave them) without going
through B2; beyond twenty million, they are copied under other pseudonyms. Meanwhile one-megabyte B2 flows of the same members come by the API. The release is computed and protected for real. Readers are processes' threads on the
same machine; the peer in the same run is the bare server answering /sante/. One JSON object.
"""

import argparse
import contextlib
import datetime as dt
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

import scale
from machine import described
from stream import Stream

MONTHS, PROVIDERS, GROUPS = 36, 80, 60
LINES_A_PATIENT = 32.4  # of the sector, over 36 months
READERS, SECONDS = 8, 15
BASE = 20_000_000  # lines drawn one by one; beyond, the same care of other patients


def build(folder: Path, lines: int, seed: int = 3) -> dict[str, float]:
    """Groups, fact files and a published release of about `lines` lines; what each step took (s)."""
    os.environ |= {"BELVEDERE_DATA": str(folder), "BELVEDERE_DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "belvedere.observatory.settings"}
    import django

    django.setup()
    from django.utils import timezone

    from belvedere.cli.serve import prepare
    from belvedere.engine.sector.billing import make_sector
    from belvedere.observatory.collect import keyring
    from belvedere.observatory.members.actions import enrol_group
    from belvedere.observatory.members.models import Federation
    from belvedere.observatory.publication.actions import compute_release
    from belvedere.observatory.publication.models import Release, ReleaseState

    prepare()
    keyring.create_keys()
    start = time.perf_counter()
    sector = make_sector(
        seed=seed,
        first=dt.date(2023, 11, 1),
        providers=PROVIDERS,
        groups=GROUPS,
        months=MONTHS,
        patients=max(1000, round(min(lines, BASE) / LINES_A_PATIENT)),
    )
    federations = [Federation.objects.create(name=name) for name in ("FédéPSAD", "UNPDM", "UPSADI")]
    for number in sorted({provider.group for provider in sector.providers}):
        own = [provider for provider in sector.providers if provider.group == number]
        members = [{"name": p.name, "siren": p.siren, "finess": p.finess, "department": p.home, "norm": p.norm} for p in own]
        enrol_group(name=own[0].group_name, federation=federations[number % 3], members=members, by="mesure")
    written = write_facts(sector, max(1, round(lines / BASE)))
    made = time.perf_counter() - start
    start = time.perf_counter()
    months = [sector.month(rank).isoformat()[:7] for rank in range(MONTHS)]
    release = compute_release(label="2026-10", months=months, by="mesure", seed=1)
    Release.objects.filter(pk=release.pk).update(state=ReleaseState.PUBLISHED, published_at=timezone.now())
    return {"lines": written, "facts_s": round(made, 1), "release_s": round(time.perf_counter() - start, 1), "cells": release.released_cells}


def a_table(sector, provider, rank: int, line: dict, places, member: int, flow: int = 1, step: int = 10**7):
    """The facts of a provider's month, as its flow would leave them; invoices are numbered from `rank` x `step`."""
    import numpy as np
    import pyarrow as pa

    from belvedere.engine.sector.billing import SUPPLY
    from belvedere.engine.warehouse.schema import FACTS

    count, people, first = len(line["lpp"]), sector.population, sector.month(rank)
    person, odd = people.patient[line["episode"]], np.uint64(0x9E3779B97F4A7C15)
    day = np.datetime64(first, "D") + np.minimum(line["day"] - 1, 27)
    columns = {
        "flow_id": np.full(count, flow), "member_id": np.full(count, member), "record": np.arange(count), "invoice_no": rank * step + line["invoice"],
        "patient": ((person + 1).astype(np.uint64) * odd >> np.uint64(1)).astype(np.int64), "patient_bucket": person % 16, "sex": people.sex[person],
        "age": 2025 - people.birth_year[person], "department": places[people.department[person]], "regime": people.regime[person],
        "period": np.full(count, np.datetime64(first, "D")), "act_date": day, "invoice_date": np.full(count, np.datetime64(sector.month(rank + 1), "D") + 4),
        "lpp": line["lpp"], "supply_type": np.array([chr(SUPPLY[code]) for code in line["lpp"].tolist()]), "units": line["units"],
        "amount_base": line["total"], "amount_amo": line["amo"], "amount_amc": line["amc"], "amount_billed": line["total"],
        "prescriber": people.prescriber[line["episode"]], "prescriber_specialty": people.specialty[line["episode"]], "nature": np.zeros(count, int),
    }  # fmt: skip
    return pa.table([pa.array(columns[column.name]).cast(column.type) for column in FACTS], schema=FACTS)


def write_facts(sector, copies: int) -> int:
    """One fact file a provider and month, listed as a flow would list it; the number of lines."""
    import numpy as np
    import pyarrow as pa
    from django.utils import timezone

    from belvedere.engine.nomenclature.territories import departments
    from belvedere.engine.sector.billing import month_lines
    from belvedere.engine.warehouse import files
    from belvedere.observatory.collect.models import DataFile, Flow, State
    from belvedere.observatory.collect.vault import facts_path
    from belvedere.observatory.members.models import Member

    members = {int(member.finess): member for member in Member.objects.select_related("group")}
    places = np.array([item.code for item in departments()])
    written = 0
    for provider in sector.providers:
        member = members[provider.finess]
        for rank in range(MONTHS):
            line = month_lines(sector, provider.rank, rank)
            count = len(line["lpp"])
            if not count:
                continue
            first = sector.month(rank)
            flow = Flow.objects.create(
                group=member.group, member=member, channel="api", received_at=timezone.now(), settled_at=timezone.now(), state=State.ACCEPTED,
                sealed_name=f"{member.pk}-{rank}", content_hash=f"{member.pk}-{rank}", sealed_size=0, lines=count * copies, period_from=first, period_to=first, invoices=int(line["invoice"].max()) + 1,
            )  # fmt: skip
            table = a_table(sector, provider, rank, line, places, member.pk, flow.pk)
            name = f"{member.pk}-{rank}.parquet"
            path = facts_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = files.Writer(path)
            for copy in range(copies):
                writer.write(scale.copied(table, copy))
            size = writer.close()
            days = table["act_date"].cast(pa.int32()).to_numpy()
            DataFile.objects.create(
                flow=flow, member=member, name=name, rows=writer.rows, size=size, first_day=int(days.min()), last_day=int(days.max())
            )
            written += writer.rows
    return written


def sessions(count: int) -> list[str]:
    """Session cookies of members of the largest, the middle and small groups, second factor set."""
    from django.conf import settings
    from django.db.models import Sum
    from django.test import Client

    from belvedere.observatory.accounts import factors, people
    from belvedere.observatory.accounts.models import Role
    from belvedere.observatory.members.models import Group

    groups = list(Group.objects.annotate(size=Sum("flows__lines")).order_by("-size"))
    chosen = [groups[round(rank * (len(groups) - 1) / (count - 1))] for rank in range(count)]
    made = []
    for rank, group in enumerate(chosen):
        user = people.open_account(
            email=f"lecteur{rank}@mesure.test", role=Role.MEMBER_ADMIN, group=group, whole_group=True, password="quatre mots à lire", by="mesure"
        )
        factors.give(user, factors.new_secret())
        client = Client()
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        made.append(client.cookies[settings.SESSION_COOKIE_NAME].value)
    return made


def senders() -> list[tuple[int, str]]:
    """A token of each group, with the FINESS of one of its entities."""
    from belvedere.observatory.members.actions import issue_sender_key
    from belvedere.observatory.members.models import Group

    made = []
    for group in Group.objects.order_by("pk"):
        made.append((int(group.members.first().finess), issue_sender_key(group=group, label="mesure", by="mesure")))
    return made


class NotYet(Exception):
    """The page says that the member's figures are being counted."""


def read(port: int, path: str, cookie: str, connection: http.client.HTTPConnection | None = None) -> float:
    """Seconds of one reading; an answer other than 200 ends the measure."""
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    start = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": f"session={cookie}", "Host": "localhost"} if cookie else {"Host": "localhost"})
    answer = connection.getresponse()
    body = answer.read()
    if b"se comptent en ce moment" in body:
        raise NotYet
    if answer.status != 200 or b"premier flux.</p>" in body:
        raise SystemExit(f"{path} : {answer.status} {answer.getheader('Location')} {body[:200]!r}")
    return time.perf_counter() - start


def first_reading(port: int, cookie: str) -> float:
    """Seconds until a member that nobody counted yet reads its figures: the treatment counts them meanwhile."""
    start = time.perf_counter()
    while True:
        try:
            read(port, "/ma-position/", cookie)
            return time.perf_counter() - start
        except NotYet:
            time.sleep(0.5)


def load(port: int, paths: list[str], cookies: list[str]) -> list[float]:
    """Times of all readings of as many concurrent readers as cookies, for SECONDS."""
    times: list[float] = []
    stop = time.perf_counter() + SECONDS

    def reader(rank: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        turn = rank
        while time.perf_counter() < stop:
            times.append(read(port, paths[turn % len(paths)], cookies[rank], connection))
            turn += 1

    threads = [threading.Thread(target=reader, args=(rank,)) for rank in range(len(cookies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


@contextlib.contextmanager
def served(folder: Path, port: int) -> Iterator[subprocess.Popen]:
    """The observatory of a folder, served with its treatment while the block lasts."""
    ports = ["--port", str(port), "--smtp", str(port + 1), "--sftp", str(port + 2)]
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "belvedere", "serve", "--data", str(folder), *ports], stdout=log, stderr=log)
        try:
            for _ in range(300):
                with contextlib.suppress(OSError):
                    read(port, "/sante/", "")
                    break
                time.sleep(0.2)
            yield server
        finally:
            server.terminate()
            server.wait(30)


def peak_rss(parent: int) -> int:
    """Highest memory (MB) of any one process of the server."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False).stdout.split()
    found = [0]
    for pid in (str(parent), *listed):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            found.append(int(status.split("VmHWM:")[1].split()[0]) // 1024)
    return max(found)


def p95(times: list[float]) -> float:
    return round(statistics.quantiles(times, n=20)[-1] * 1000, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=20_000_000)
    parser.add_argument("--pace", type=float, default=2.0, help="seconds between two one-megabyte flows while pages are read; 0: none")
    parser.add_argument("--port", type=int, default=8471)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[str, object] = dict(build(folder, options.lines))
        cookies, tokens = sessions(READERS), senders()
        with served(folder, options.port) as server:
            cold = [first_reading(options.port, cookie) for cookie in cookies]
            pages = ["/ma-position/", "/ma-position/familles/", "/ma-position/familles/PPC/", "/ma-position/territoires/"]
            zones = [f"/marche/?zone={zone}&famille={family}" for zone in ("FR", "R84", "R11", "R32") for family in ("*", "PPC", "OXY")]
            for path in (*pages, *zones):  # each process of the server keeps its own figures: all are read before the clock starts
                for cookie in cookies:
                    for _ in range(3 if path in pages else 1):
                        read(options.port, path, cookie)
            measured = {"member": ["/ma-position/"], "market": zones, "boards": pages, "bare": ["/sante/"]}
            quiet = {name: load(options.port, paths, cookies) for name, paths in measured.items()}
            busy, states, refused = quiet, {}, {}
            if options.pace:
                from belvedere.observatory.collect import keyring

                with Stream(f"http://127.0.0.1:{options.port}", tokens, keyring.certificate(), options.pace) as stream:
                    time.sleep(2 * options.pace)
                    busy = {name: load(options.port, paths, cookies) for name, paths in measured.items()}
                states, refused = dict(stream.settled()), dict(stream.refused)
            memory = peak_rss(server.pid)
    found |= {f"{name}_p95_ms": p95(times) for name, times in busy.items()}
    found |= {f"{name}_p50_ms": round(statistics.median(times) * 1000, 1) for name, times in busy.items()}
    found |= {f"{name}_quiet_p95_ms": p95(times) for name, times in quiet.items()}
    found |= {
        "months": MONTHS, "readers": READERS, "flow_pace_s": options.pace, "flows": states, "flows_refused": refused, "served_peak_rss_mb": memory,
        "member_first_reading_s": round(max(cold), 2), "member_first_reading_median_s": round(statistics.median(cold), 2),
        "member_to_bare": round(statistics.median(busy["member"]) / statistics.median(busy["bare"]), 1), **described(),
    }  # fmt: skip
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
