from django.urls import path

from belvedere.portal.federation import counts, coverage, gate, talks, views

app_name = "federation"
urlpatterns = [
    path("marche/", views.market_page, name="market"),
    path("marche/simulateur/", talks.simulator, name="simulator"),
    path("marche/note.pdf", talks.note, name="note"),
    path("couverture/", coverage.coverage, name="coverage"),
    path("publications/", gate.releases, name="releases"),
    path("publications/accord/", gate.standing, name="standing"),
    path("publications/comptes/<int:number>/avis/", counts.decide, name="decide-counts"),
    path("publications/<str:label>/secret/", views.secrecy, name="secrecy"),
    path("publications/<str:label>/publication.csv", views.publication_csv, name="publication-csv"),
    path("publications/<str:label>/specification.yaml", views.specification_yaml, name="specification"),
    path("publications/<str:label>/avis/", gate.decide, name="decide"),
]
