from django.urls import path

from belvedere.portal.auditor import views

app_name = "auditor"
urlpatterns = [
    path("journal/", views.journal, name="journal"),
    path("journal/journal.jsonl", views.export, name="export"),
]
