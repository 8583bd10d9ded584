from django.urls import path

from belvedere.portal.patient import views

app_name = "patient"
urlpatterns = [
    path("patients/", views.rights, name="rights"),
    path("patients/opposition/<slug:kind>/", views.oppose, name="oppose"),
    path("patients/opposition/<slug:kind>/retrait/", views.withdraw, name="withdraw"),
    path("patients/preuve/<str:reference>.pdf", views.proof, name="proof"),
]
