"""The state of the house pushed to an OpenTelemetry collector (OTLP over HTTP), once a minute for the whole house: the figures of `state`, which name nobody."""

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.core.cache import cache as shared

from belvedere import __version__
from belvedere.observatory import state
from belvedere.observatory.environment import read

logger = logging.getLogger(__name__)
SECONDS = 60
TIMEOUT = 10.0
# Unit of each figure, from the end of its name (UCUM); none for counts.
UNITS = {"seconds": "s", "bytes": "By"}


class _Collector:
    """A collector: where figures are held until they are sent, and what sends them."""

    def __init__(self, url: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
        from opentelemetry.sdk.resources import Resource

        self._exporter, self._reader, self._done = (
            OTLPMetricExporter(endpoint=f"{url.rstrip('/')}/v1/metrics", timeout=TIMEOUT),
            InMemoryMetricReader(),
            MetricExportResult.SUCCESS,
        )
        resource = Resource.create({"service.name": "belvedere", "service.version": __version__})
        self._meter = MeterProvider([self._reader], resource, shutdown_on_exit=False).get_meter("belvedere")
        self._gauges: dict[str, Any] = {}

    def send(self, figures: Mapping[str, float]) -> bool:
        """Whether the collector took these figures."""
        for name, value in figures.items():
            if name not in self._gauges:
                self._gauges[name] = self._meter.create_gauge(f"belvedere.{name}", unit=UNITS.get(name.rsplit("_", 1)[-1], "1"))
            self._gauges[name].set(float(value))
        return bool(self._exporter.export(self._reader.get_metrics_data()) is self._done)


@cache
def _collector(url: str) -> _Collector | None:
    """The collector at an address; None when the extra is not installed."""
    try:
        return _Collector(url)
    except ImportError:
        logger.error("BELVEDERE_OTLP_URL est réglé, mais l’extra « telemetry » n’est pas installé : rien n’est envoyé")
        return None


def due() -> bool:
    """Whether this process is to push now: one of the house does, once a minute, when a collector is set."""
    return bool(read("BELVEDERE_OTLP_URL")) and shared.add("telemetry", 1, SECONDS - 5)


def push() -> bool:
    """Send every figure and the number of alarms; whether the collector took them. One that is away is told in the log, and asked again in a minute."""
    held = _collector(read("BELVEDERE_OTLP_URL"))
    if held is None:
        return False
    figures = state.figures()
    sent = held.send({**figures, "alarms": len(state.alarms(figures))})
    if not sent:
        logger.warning("le collecteur de mesures ne répond pas")
    return sent
