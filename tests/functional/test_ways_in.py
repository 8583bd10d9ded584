"""Every way in, through real servers: API with resumption, mail, SFTP, watched folder. All meet in one queue."""

import asyncio
import base64
import datetime as dt
import http.server
import json
import smtplib
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import EmailMessage
from email.policy import SMTP

import asyncssh
import jwt
import pytest
from cryptography import x509
from standardwebhooks.webhooks import Webhook
from tusclient.client import TusClient

from belvedere.engine.b2.envelope import seal
from belvedere.engine.evidence import archive, chain
from belvedere.engine.sector.billing import month_file
from tests.flows import assert_no_identity
from tests.functional.test_journeys import rebuilt, shown


def call(demo, method, path, body=None, token=None, **headers):
    request = urllib.request.Request(demo.url + path, data=body, method=method)
    for name, value in {"Authorization": f"Bearer {token or demo.kept['token']}", **headers}.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def settled(demo, number):
    for _ in range(200):
        answer = json.loads(call(demo, "GET", f"/api/v1/flows/{number}")[1])
        if answer["settled"]:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"flow {number} is not settled: {answer}")


@pytest.fixture(scope="module")
def certificate(demo):
    return x509.load_pem_x509_certificate(call(demo, "GET", "/api/v1/certificate")[1])


@pytest.fixture(scope="module")
def sender(demo):
    """The identifier of the shown group's first sender."""
    listed = demo.belvedere("sender", "list", "--data", str(demo.folder)).stdout
    return next(line.split()[0] for line in listed.splitlines() if "Démonstration" in line)


@pytest.fixture
def fresh(demo):
    """Clear files of the shown group that nobody sent yet (far months), one at each call."""
    sector = rebuilt(demo)
    ranks = [r for r in shown(demo, sector) if sector.providers[r].norm == "FR"]

    def make():
        for month in range(30, 48):
            for rank in ranks:
                if (rank, month) not in demo.pushed and (clear := month_file(sector, rank, month)):
                    demo.pushed.add((rank, month))
                    return clear
        raise AssertionError("no file left")

    return lambda: _test_only(make())


def _test_only(clear: bytes) -> bytes:
    """Marked as a test in its lots: controlled like any other, never counted, so that other tests see no change."""
    out = bytearray(clear)
    for at in range(0, len(out), 128):
        if out[at : at + 1] == b"6":
            out[at + 54] = ord("T")
    return bytes(out)


def test_a_deposit_answers_at_once_and_the_same_key_gives_the_same_receipt(demo, certificate, fresh):
    sealed = seal(fresh(), certificate)
    status, body, headers = call(demo, "POST", "/api/v1/flows", sealed, Idempotency_Key="k-1", X_File_Name="mars.b2")
    first = json.loads(body)
    assert status == 202 and headers["Location"].endswith(f"/api/v1/flows/{first['receipt']}")
    status, body, _ = call(demo, "POST", "/api/v1/flows", sealed, Idempotency_Key="k-1", X_File_Name="mars.b2")
    assert (status, json.loads(body)["receipt"]) == (200, first["receipt"])
    assert call(demo, "POST", "/api/v1/flows", seal(fresh(), certificate), Idempotency_Key="k-1")[0] == 422
    answer = settled(demo, first["receipt"])
    assert (answer["state"], answer["test"], [item["code"] for item in answer["findings"]]) == ("remarks", True, ["S109"])
    assert answer["records"] == sum(answer["counts"].values())


def test_receipts_are_signed_and_stand_in_the_journal(demo, certificate, fresh):
    number = json.loads(call(demo, "POST", "/api/v1/flows", seal(fresh(), certificate))[1])["receipt"]
    answer = settled(demo, number)
    key = jwt.PyJWKSet.from_dict(json.loads(call(demo, "GET", "/api/v1/receipt-keys")[1])).keys[0]
    claims = jwt.decode(answer["signed"], key, algorithms=["EdDSA"])
    assert claims["receipt"] == number and claims["journal"]["position"] > 0
    assert claims["sealed_sha256"] == answer["sealed_sha256"]
    head, payload, signature = answer["signed"].split(".")
    forged = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged["lines"] += 1
    broken = ".".join([head, base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("="), signature])
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(broken, key, algorithms=["EdDSA"])
    proof = json.loads(call(demo, "GET", f"/api/v1/flows/{number}/proof")[1])
    assert proof["entry"]["id"] == claims["journal"]["position"] and proof["entry"]["digest"] == claims["journal"]["digest"]
    published = json.loads(call(demo, "GET", "/api/v1/journal/heads")[1])
    assert archive.verify_proof(proof, chain.public_key(published["key"])).whole
    assert call(demo, "GET", "/api/v1/flows/1/proof")[0] == 404, "the first flow of the demonstration is another group's"


def test_client_credentials_give_an_access_token(demo, sender):
    form = urllib.parse.urlencode({"grant_type": "client_credentials"}).encode()
    basic = base64.b64encode(f"{sender}:{demo.kept['token']}".encode()).decode()
    request = urllib.request.Request(f"{demo.url}/api/v1/oauth/token", data=form, headers={"Authorization": f"Basic {basic}"})
    with urllib.request.urlopen(request) as answer:
        given = json.loads(answer.read())
    assert given["token_type"] == "Bearer" and given["expires_in"] > 0
    assert call(demo, "GET", "/api/v1/flows", token=given["access_token"])[0] == 200
    assert call(demo, "GET", "/api/v1/flows", token=given["access_token"][:-4] + "AAAA")[0] == 401
    wrong = base64.b64encode(f"{sender}:bvd_wrong".encode()).decode()
    request = urllib.request.Request(f"{demo.url}/api/v1/oauth/token", data=form, headers={"Authorization": f"Basic {wrong}"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 401


def test_a_cut_upload_goes_on_where_it_stopped_with_an_ordinary_tus_client(demo, certificate, fresh, tmp_path):
    path = tmp_path / "flux.p7m"
    path.write_bytes(seal(fresh(), certificate))
    client = TusClient(f"{demo.url}/api/v1/uploads", headers={"Authorization": f"Bearer {demo.kept['token']}"})
    uploader = client.uploader(str(path), chunk_size=8_000, metadata={"filename": "avril.b2"})
    uploader.upload_chunk()
    url = uploader.url
    status, _, headers = call(demo, "HEAD", urllib.parse.urlsplit(url).path, Tus_Resumable="1.0.0")
    assert (status, headers["Upload-Offset"]) == (200, "8000")
    wrong = {"Tus_Resumable": "1.0.0", "Upload_Offset": "7", "Content_Type": "application/offset+octet-stream"}
    assert call(demo, "PATCH", urllib.parse.urlsplit(url).path, b"x", **wrong)[0] == 409
    client.uploader(str(path), chunk_size=50_000, url=url).upload()
    _, _, headers = call(demo, "HEAD", urllib.parse.urlsplit(url).path, Tus_Resumable="1.0.0")
    answer = settled(demo, int(headers["Belvedere-Receipt"]))
    assert (answer["state"], answer["file"]) == ("remarks", "avril.b2")


def test_what_is_clear_is_refused_by_every_way_and_never_written(demo, fresh, sender, tmp_path):
    clear = fresh()
    answer = json.loads(call(demo, "POST", "/api/v1/flows", clear)[1])
    assert (answer["state"], answer["findings"][0]["code"]) == ("refused", "E703")
    _, _, headers = call(demo, "POST", "/api/v1/uploads", b"", Tus_Resumable="1.0.0", Upload_Length=str(len(clear)))
    path = urllib.parse.urlsplit(headers["Location"]).path
    sent = {"Tus_Resumable": "1.0.0", "Upload_Offset": "0", "Content_Type": "application/offset+octet-stream"}
    _, _, headers = call(demo, "PATCH", path, clear, **sent)
    assert json.loads(call(demo, "GET", f"/api/v1/flows/{headers['Belvedere-Receipt']}")[1])["findings"][0]["code"] == "E703"
    with pytest.raises(asyncssh.SFTPPermissionDenied):
        asyncio.run(_put(demo, sender, tmp_path, "clair.b2", clear))
    assert_no_identity(demo.folder, rebuilt(demo).population)


def _insurance_message(clear: bytes, certificate, address: str, *, test: bool = False) -> EmailMessage:
    """The message as it goes to the health insurance (norm reference §12), with one more recipient."""
    import gzip

    inner = EmailMessage()
    inner.set_content(gzip.compress(clear, mtime=0), maintype="application", subtype="EDI-consent", cte="base64", filename="B2.gz")
    del inner["MIME-Version"]
    inner["Content-Description"] = "IRISTEST/B2/Z" if test else "IRIS/B2/Z"
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs7

    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(inner.as_bytes()).add_recipient(certificate)
    sealed = builder.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    outer = EmailMessage()
    stamp = dt.datetime.now().strftime("%Y%m%d%H%M%S%f")[:19]
    outer["From"], outer["To"] = "facturation@editeur.test", f"01511@511.01.rss.fr, {address}"
    outer["Subject"] = f"IR/00000{'752600015'}/{stamp}/00012"
    outer.set_content(sealed, maintype="application", subtype="pkcs7-mime", params={"smime-type": "enveloped-data", "name": "smime.p7m"})
    return outer


def test_the_mail_of_the_insurance_with_one_more_recipient(demo, certificate, fresh, sender):
    address = demo.belvedere("sender", "mail", sender, "--data", str(demo.folder)).stdout.strip()
    message = _insurance_message(fresh(), certificate, address, test=True)
    with smtplib.SMTP("127.0.0.1", demo.smtp) as client:
        assert client.sendmail("facturation@editeur.test", [address], message.as_bytes(policy=SMTP)) == {}
    with smtplib.SMTP("127.0.0.1", demo.smtp) as client:  # the sender's server sends the same message again
        client.sendmail("facturation@editeur.test", [address], message.as_bytes(policy=SMTP))
    flows = [item for item in json.loads(call(demo, "GET", "/api/v1/flows?after=0")[1]) if item["channel"] == "mail"]
    after = max((item["receipt"] for item in flows), default=0)
    while page := json.loads(call(demo, "GET", f"/api/v1/flows?after={after}")[1]):
        flows += [item for item in page if item["channel"] == "mail"]
        after = page[-1]["receipt"]
    assert len(flows) == 1
    answer = settled(demo, flows[0]["receipt"])
    assert (answer["state"], answer["test"], answer["file"][:3]) == ("remarks", True, "IR-")
    with smtplib.SMTP("127.0.0.1", demo.smtp) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("x@y.test", ["depot-0000@belvedere.test"], message.as_bytes(policy=SMTP))
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail("x@y.test", [address], b"Subject: bonjour\r\n\r\nbonjour")
        assert caught.value.smtp_code == 550


async def _connect(demo, sender, tmp_path):
    key = tmp_path / "id"
    if not key.exists():
        pair = asyncssh.generate_private_key("ssh-ed25519")
        pair.write_private_key(str(key))
        pair.write_public_key(str(key) + ".pub")
        done = await asyncio.to_thread(demo.belvedere, "sender", "sftp", sender, str(key) + ".pub", "--data", str(demo.folder))
        assert done.returncode == 0, done.stderr
    return await asyncssh.connect("127.0.0.1", demo.sftp, username=sender, client_keys=[str(key)], known_hosts=None, config=None)


async def _put(demo, sender, tmp_path, name, content):
    source = tmp_path / "source"
    source.write_bytes(content)
    async with await _connect(demo, sender, tmp_path) as connection, connection.start_sftp_client() as sftp:
        await sftp.put(str(source), f"depot/{name}")
        for _ in range(200):
            found = [item for item in await sftp.listdir("accuses") if item.startswith(name) and item.endswith(".json")]
            if found:
                async with sftp.open(f"accuses/{found[0]}") as stream:
                    return json.loads(await stream.read())
            await asyncio.sleep(0.05)
    raise AssertionError("no receipt came back")


def test_sftp_gives_the_receipt_back_and_shows_nothing_else(demo, certificate, fresh, sender, tmp_path):
    receipt = asyncio.run(_put(demo, sender, tmp_path, "mai.p7m", seal(fresh(), certificate)))
    assert (receipt["state"], receipt["channel"]) == ("remarks", "sftp")

    async def try_everything():
        async with await _connect(demo, sender, tmp_path) as connection:
            async with connection.start_sftp_client() as sftp:
                assert sorted(set(await sftp.listdir("/")) - {".", ".."}) == ["accuses", "depot"]
                for path in ("/../../keys/pseudonyms.json", "../../demo.json", "/etc/passwd"):
                    with pytest.raises(asyncssh.SFTPError):
                        await sftp.stat(path)
                with pytest.raises(asyncssh.SFTPError):
                    await sftp.symlink("/etc/passwd", "depot/x")
                with pytest.raises(asyncssh.SFTPError):
                    await sftp.mkdir("depot/y")
            with pytest.raises((asyncssh.ChannelOpenError, asyncssh.ProcessError, asyncssh.Error)):
                await connection.run("id", check=True)

    asyncio.run(try_everything())
    stranger = asyncssh.generate_private_key("ssh-ed25519")

    async def enter():
        await asyncssh.connect("127.0.0.1", demo.sftp, username=sender, client_keys=[stranger], known_hosts=None, config=None)

    with pytest.raises(asyncssh.PermissionDenied):
        asyncio.run(enter())


def test_a_watched_folder_is_sent_once_whatever_restarts(demo, fresh, tmp_path):
    folder = tmp_path / "sortie"
    folder.mkdir()
    (folder / "juin.b2").write_bytes(fresh())
    time.sleep(1.2)
    watch = ("push", "--watch", str(folder), "--once", "--json", "--server", demo.url)
    first = demo.belvedere(*watch, BELVEDERE_TOKEN=demo.kept["token"])
    answer = json.loads(first.stdout)
    assert (first.returncode, answer["state"]) == (1, "remarks"), first.stderr
    assert [path.name.split("-", 1)[1] for path in (folder / "envoyes").iterdir()] == ["juin.b2"]
    assert len(list((folder / "accuses").iterdir())) == 1
    again = demo.belvedere(*watch, BELVEDERE_TOKEN=demo.kept["token"])
    assert (again.returncode, again.stdout) == (0, "")


def test_a_webhook_is_told_with_a_signature(demo, certificate, fresh):
    heard = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204 if len(heard) > 1 else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        body = json.dumps({"url": f"http://127.0.0.1:{server.server_port}/rappel"}).encode()
        given = json.loads(call(demo, "PUT", "/api/v1/webhook", body, Content_Type="application/json")[1])
        number = json.loads(call(demo, "POST", "/api/v1/flows", seal(fresh(), certificate))[1])["receipt"]
        deadline = time.monotonic() + 20
        while len(heard) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(heard) == 2, "the first answer was 500: it must be tried again"
        headers, content = heard[-1]
        told = Webhook(given["secret"]).verify(content, {name.lower(): value for name, value in headers.items()})
        assert told["type"] == "flow.settled" and told["data"]["receipt"] == number
        assert heard[0][0]["webhook-id"] == headers["webhook-id"]
    finally:
        server.shutdown()
    assert call(demo, "PUT", "/api/v1/webhook", b'{"url": "ftp://x"}', Content_Type="application/json")[0] == 400
