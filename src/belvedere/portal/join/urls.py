from django.urls import path

from belvedere.portal.join import views

app_name = "join"
urlpatterns = [
    path("adherer/", views.enrol, name="enrol"),
    path("adherer/merci/", views.thanks, name="thanks"),
    path("adherer/convention/<str:token>/", views.sign, name="sign"),
    path("adherer/convention/<str:token>/convention.pdf", views.text, name="text"),
    path("adherer/brancher/<str:token>/", views.plug, name="plug"),
    path("adherer/brancher/<str:token>/<slug:name>.pdf", views.document, name="document"),
    path("invitation/<str:token>/", views.invited, name="invited"),
]
