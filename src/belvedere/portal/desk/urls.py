"""Addresses of a reader's desk: its baskets and its alert rules."""

from django.urls import path

from belvedere.portal.desk import views

app_name = "desk"
urlpatterns = [
    path("mes-reglages/", views.desk, name="desk"),
    path("mes-reglages/paniers/", views.keep_basket, name="basket"),
    path("mes-reglages/alertes/", views.keep_rule, name="alert"),
    path("mes-reglages/<slug:kind>/<int:number>/retirer/", views.remove, name="remove"),
]
