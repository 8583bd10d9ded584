"""A consumer's server on the loopback, whose answers follow a script: what it takes, it verifies as Standard Webhooks says."""

import base64
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook


class Consumer:
    """`script` gives the answer to each call in turn: a status, (status, headers), "slow", or "cut"; 200 once it is used up."""

    def __init__(self, now=None) -> None:
        self.now = now
        self.script: list = []
        self.calls: list[dict] = []
        self.seen: list[int] = []
        self.secret = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.check(body, headers)
                content = json.loads(body)
                step = outer.script.pop(0) if outer.script else 200
                outer.calls.append({"headers": headers, "body": content, "raw": body, "step": step})
                if step == "cut":
                    outer.seen += numbers(content)  # taken, but the answer never arrives
                    self.connection.close()
                    return
                if step == "slow":
                    time.sleep(0.3)
                    step = 200
                status, extra = step if isinstance(step, tuple) else (step, {})
                if 200 <= status < 300:
                    outer.seen += numbers(content)
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/rappel"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def check(self, body: bytes, headers: dict) -> None:
        """The signature and the age, by the specification and by the consumer's clock."""
        if not self.secret:
            return
        if self.now is None:
            Webhook(self.secret).verify(body, headers)
            return
        assert abs(self.now().timestamp() - int(headers["webhook-timestamp"])) < 300
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        assert "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() in headers["webhook-signature"].split()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def parameters(content: dict) -> list[dict]:
    return content["entry"][0]["resource"]["parameter"]


def numbers(content: dict) -> list[int]:
    """Numbers of the events of a notification."""
    return [int(part["part"][0]["valueString"]) for part in parameters(content) if part["name"] == "notification-event"]


def kind(content: dict) -> str:
    return next(part["valueCode"] for part in parameters(content) if part["name"] == "type")


def focuses(content: dict) -> list[str]:
    return [
        item["valueReference"]["reference"]
        for part in parameters(content)
        if part["name"] == "notification-event"
        for item in part["part"]
        if item["name"] == "focus"
    ]
