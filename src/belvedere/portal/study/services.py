"""What is real and what is simulated, service by service; and the last story played against the simulators."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.engine import services
from belvedere.observatory.services.models import Story


@dataclass(frozen=True)
class Service:
    """One service: what we really do, what a simulator stands for, what the real one needs, and how to plug it."""

    code: str
    name: str
    real: str
    simulated: str
    needs: str
    plug: str


@cache
def table() -> tuple[Service, ...]:
    """Every service, in the order of a stay."""
    with (files(services) / "services.csv").open(encoding="utf-8") as stream:
        return tuple(Service(**row) for row in csv.DictReader(stream))


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """The services, what is real and what is not."""
    return render(request, "study/services.html", {"services": table(), "banner": services.BANNER, "played": Story.objects.exists()})


@require_safe
def story(request: HttpRequest) -> HttpResponse:
    """The last story, step by step."""
    return render(request, "study/story.html", {"story": Story.objects.first(), "banner": services.BANNER})
