from django.urls import path

from belvedere.portal.operator import enrolments, gate, money, objections, views

app_name = "operator"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("adhesions/", enrolments.listing, name="enrolments"),
    path("adhesions/<str:reference>/", enrolments.one, name="enrolment"),
    path("adhesions/<str:reference>/suite/", enrolments.act, name="enrolment-act"),
    path("cotisation/", money.fees, name="fees"),
    path("cotisation/prise-en-charge/<int:number>/", money.bearing, name="bearing"),
    path("cotisation/federations/", money.federation, name="federation"),
    path("cotisation/factures/<str:number>/payer/", money.pay, name="pay"),
    path("cotisation/factures/<str:number>.pdf", money.document, name="invoice"),
    path("verrou/", gate.thresholds, name="gate"),
    path("verrou/comptes/<int:number>/fin/", gate.end_counts, name="end-counts"),
    path("verrou/<str:label>/fin/", gate.end, name="end"),
    path("oppositions/", objections.objections, name="objections"),
]
