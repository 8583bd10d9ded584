from django.urls import path

from belvedere.portal.federation import views

app_name = "federation"
urlpatterns = [
    path("marche/", views.market_page, name="market"),
    path("publications/", views.releases, name="releases"),
    path("publications/<str:label>/valider/", views.approve, name="approve"),
]
