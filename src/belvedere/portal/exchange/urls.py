"""Addresses of the exchange hub's screens."""

from django.urls import path

from belvedere.portal.exchange import consumer, moves, person, places, producer, public

app_name = "exchange"
urlpatterns = [
    path("echanges/", public.overview, name="overview"),
    path("echanges/donnees/", public.items, name="items"),
    path("echanges/habilitations/", public.matrix, name="matrix"),
    path("echanges/mes-acces/<str:token>/", person.person, name="person"),
    path("echanges/mes-acces/<str:token>/donnees/", person.own, name="own"),
    path("echanges/depots/", producer.deposits, name="deposits"),
    path("echanges/depots/envoyer/", producer.send, name="send"),
    path("echanges/depots/<str:reference>/", producer.deposit, name="deposit"),
    path("echanges/portabilite/", producer.exports, name="exports"),
    path("echanges/portabilite/<str:reference>.zip", producer.package, name="package"),
    path("echanges/changement/", moves.moves, name="moves"),
    path("echanges/changement/<str:reference>.csv", moves.move_csv, name="move-csv"),
    path("echanges/changement/<str:reference>/", moves.move, name="move"),
    path("echanges/liens/", producer.links, name="links"),
    path("echanges/effacement/", producer.erasures, name="erasures"),
    path("echanges/versements/", producer.transfers, name="transfers"),
    path("echanges/reception/", consumer.subscriptions, name="subscriptions"),
    path("echanges/reception/<str:reference>/", consumer.subscription, name="subscription"),
    path("echanges/jeux/", consumer.datasets, name="datasets"),
    path("echanges/jeux/etablissements/", places.places, name="places"),
    path("echanges/jeux/<int:number>.zip", consumer.dataset, name="dataset"),
    path("exploitation/echanges/", public.operator, name="operator"),
    path("exploitation/matrice/", public.proposals, name="proposals"),
]
