from django.urls import path

from belvedere.portal.member import boards, house, views

app_name = "member"
urlpatterns = [
    path("ma-position/", views.position, name="position"),
    path("ma-position/<slug:table>.csv", views.position_csv, name="position-csv"),
    path("ma-position/familles/", boards.families, name="families"),
    path("ma-position/familles/<str:code>/", boards.family, name="family"),
    path("ma-position/territoires/", boards.territories, name="territories"),
    path("ma-position/prescripteurs/", boards.prescribers, name="prescribers"),
    path("ma-position/durees/", boards.durations, name="durations"),
    path("ma-position/facturation/", boards.billing, name="billing"),
    path("mes-flux/", views.flows, name="flows"),
    path("mes-flux/brancher/", views.plug, name="plug"),
    path("mes-flux/<int:number>/", views.flow, name="flow"),
    path("mes-flux/<int:number>/accuse.jws", views.receipt, name="receipt"),
    path("mes-flux/<int:number>/preuve.json", views.proof, name="proof"),
    path("mon-groupe/", house.house, name="house"),
    path("mon-groupe/personnes/<int:number>/fermer/", house.close_person, name="close-person"),
    path("mon-groupe/entites/", house.add_entities, name="add-entities"),
    path("mon-groupe/entites/<int:number>/sortir/", house.remove_entity, name="remove-entity"),
    path("mon-groupe/emetteurs/", house.senders, name="senders"),
    path("mon-groupe/factures/<str:number>.pdf", house.invoice, name="invoice"),
    path("mon-groupe/convention.pdf", house.signed_agreement, name="agreement"),
]
