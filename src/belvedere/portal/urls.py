"""Addresses of the portal and of the API."""

from django.conf import settings
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from belvedere.api.exchange import fhir
from belvedere.api.routes import api
from belvedere.portal import views
from belvedere.portal.lpp import views as lpp
from belvedere.portal.public import views as public
from belvedere.portal.restitutions import views as restitutions

handler403 = "belvedere.portal.views.forbidden"
handler404 = "belvedere.portal.views.not_found"
handler500 = "belvedere.portal.views.failure"

urlpatterns = [
    path("", public.overview, name="public"),
    path("accueil/", views.home, name="home"),
    path("methode/", public.method, name="method"),
    path("lettre/<str:token>/", public.mute, name="mute"),
    path("accessibilite/", public.accessibility, name="accessibility"),
    path("presse/", public.press, name="press"),
    path("parutions/", public.versions, name="versions"),
    path("catalogue/", restitutions.listing, name="catalogue"),
    path("catalogue/<slug:name>/", restitutions.indicator, name="definition"),
    path("catalogue/<slug:name>/figure/", restitutions.figure, name="definition-figure"),
    path("catalogue/<slug:name>/export.<str:kind>", restitutions.export, name="definition-export"),
    path("lpp/", lpp.listing, name="lpp"),
    path("lpp/<str:number>/", lpp.code, name="lpp-code"),
    path("indicateurs/<slug:name>/", restitutions.old_definition, name="old-definition"),
    path("chiffres/<slug:table>.csv", public.table_csv, name="public-csv"),
    path("carte.svg", views.outlines, name="outlines"),
    path("sante/", views.health, name="health"),
    path("sante/complet/", views.ready, name="ready"),
    path("favicon.ico", RedirectView.as_view(url=settings.STATIC_URL + "portal/mark.svg"), name="favicon"),
    path("compte/", include("allauth.urls")),
    path("", include("belvedere.portal.member.urls")),
    path("", include("belvedere.portal.federation.urls")),
    path("", include("belvedere.portal.desk.urls")),
    path("", include("belvedere.portal.join.urls")),
    path("", include("belvedere.portal.patient.urls")),
    path("", include("belvedere.portal.auditor.urls")),
    path("", include("belvedere.portal.exchange.urls")),
    path("", include("belvedere.portal.study.urls")),
    path("exploitation/", include("belvedere.portal.operator.urls")),
    path("api/v1/", api.urls),
    path("fhir", fhir.serve, name="api-fhir-base"),
    re_path(r"^fhir/(?P<rest>(?s:.*))\Z", fhir.serve, name="api-fhir"),  # whatever follows, line ends included, is answered in FHIR
]
__all__ = ["handler403", "handler404", "handler500", "urlpatterns"]
