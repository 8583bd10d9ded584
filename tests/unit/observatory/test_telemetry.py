"""What a collector receives: the figures of the house, decoded from the real protocol; once a minute; nobody's name."""

import pytest
from django.core.cache import cache
from django.test import Client

from belvedere.observatory import state, telemetry
from belvedere.observatory.loopback import listening
from tests.flows import a_file
from tests.unit.observatory.test_counted_once import send

pytest.importorskip("opentelemetry.sdk", reason="l’extra « telemetry » n’est pas installé")
pytestmark = [pytest.mark.django_db, pytest.mark.enable_socket]


class Collector:
    """An OTLP receiver: what was posted, decoded; it answers `status`."""

    def __init__(self) -> None:
        self.requests, self.raw, self.status = [], b"", "200 OK"

    def __call__(self, environ, start_response):
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse

        assert (environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["CONTENT_TYPE"]) == ("POST", "/v1/metrics", "application/x-protobuf")
        self.raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        made = ExportMetricsServiceRequest()
        made.ParseFromString(self.raw)
        self.requests.append(made)
        start_response(self.status, [("Content-Type", "application/x-protobuf")])
        return [ExportMetricsServiceResponse().SerializeToString()]


@pytest.fixture
def collector(monkeypatch):
    made = Collector()
    with listening(made) as base:
        monkeypatch.setenv("BELVEDERE_OTLP_URL", base)
        cache.delete("telemetry")
        yield made
    cache.delete("telemetry")


def told(request) -> dict[str, tuple[float, str]]:
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    return {metric.name: (metric.gauge.data_points[0].as_double, metric.unit) for metric in metrics}


def test_the_figures_of_the_house_reach_the_collector(groups, collector):
    assert telemetry.due() and not telemetry.due(), "one process of the house, once a minute"
    assert telemetry.push()
    send(groups[0], a_file())
    assert telemetry.push()
    before, after = map(told, collector.requests)
    figures = state.figures()
    assert set(after) == {f"belvedere.{name}" for name in (*figures, "alarms")}
    assert before["belvedere.lines"] == (0.0, "1") and after["belvedere.lines"] == (figures["lines"], "1")
    assert after["belvedere.bytes"][1] == "By" and after["belvedere.flow_oldest_seconds"][1] == "s"
    assert not any(group.name.encode() in collector.raw for group in groups)
    resource = {item.key: item.value.string_value for item in collector.requests[0].resource_metrics[0].resource.attributes}
    assert resource["service.name"] == "belvedere"


def test_a_collector_that_is_away_stops_nothing(db, monkeypatch, caplog):
    monkeypatch.setattr(telemetry, "TIMEOUT", 1.0)
    monkeypatch.setenv("BELVEDERE_OTLP_URL", "http://127.0.0.1:9")
    assert telemetry.push() is False and "ne répond pas" in caplog.text


def test_nothing_is_sent_unless_it_is_asked(monkeypatch):
    monkeypatch.setenv("BELVEDERE_OTLP_URL", "")
    assert not telemetry.due()


def test_the_full_health_answer(db, monkeypatch):
    assert Client().get("/sante/complet/").status_code == 200
    monkeypatch.setattr(state, "alarms", lambda figures: [state.Alarm("file", "Un flux attend")])
    answer = Client().get("/sante/complet/")
    assert answer.status_code == 503 and "flux" not in answer.content.decode() and "no-store" in answer["Cache-Control"]
