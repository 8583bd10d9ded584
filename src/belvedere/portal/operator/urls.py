from django.urls import path

from belvedere.portal.operator import views

app_name = "operator"
urlpatterns = [path("", views.overview, name="overview")]
