from django.urls import path

from belvedere.portal.study import registries, services, views

app_name = "study"
urlpatterns = [
    path("etude/", views.public, name="public"),
    path("etude/etude.<str:kind>", views.public_file, name="public-file"),
    path("etude/editeur/<str:token>/", views.vendor, name="vendor"),
    path("etude/editeur/<str:token>/etude.<str:kind>", views.vendor_file, name="vendor-file"),
    path("services/", services.listing, name="services"),
    path("services/histoire/", services.story, name="story"),
    path("exploitation/etude/", registries.overview, name="registries"),
    path("exploitation/etude/figer/", registries.freeze, name="freeze"),
    path("exploitation/etude/liens/", registries.keys, name="keys"),
    path("exploitation/etude/<slug:table>/", registries.registry, name="registry"),
    path("exploitation/etude/<slug:table>/<int:number>/", registries.row, name="row"),
]
