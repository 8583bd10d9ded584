"""What is real and what is simulated, service by service; and the last story played against the simulators."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from belvedere.engine.services import BANNER
from belvedere.engine.services.catalogue import services
from belvedere.observatory.services.models import Story


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """The services, what is real and what is not."""
    return render(request, "study/services.html", {"services": services(), "banner": BANNER, "played": Story.objects.exists()})


@require_safe
def story(request: HttpRequest) -> HttpResponse:
    """The last story, step by step."""
    return render(request, "study/story.html", {"story": Story.objects.first(), "banner": BANNER})
