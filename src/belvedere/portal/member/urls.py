from django.urls import path

from belvedere.portal.member import views

app_name = "member"
urlpatterns = [
    path("ma-position/", views.position, name="position"),
    path("ma-position/<slug:table>.csv", views.position_csv, name="position-csv"),
    path("mes-flux/", views.flows, name="flows"),
    path("mes-flux/brancher/", views.plug, name="plug"),
    path("mes-flux/<int:number>/", views.flow, name="flow"),
    path("mes-flux/<int:number>/accuse.jws", views.receipt, name="receipt"),
]
