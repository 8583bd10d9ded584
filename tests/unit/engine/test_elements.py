"""Health that hides in other elements is told to nobody who lacks it."""

import json


def test_health_that_hides_in_other_elements_is_not_told():
    """What an attacker planted below elements of another category, in labels, in words beside references, in the versions' own labels."""
    from belvedere.engine.exchange.profiles import categories, filtered, profiles
    from belvedere.engine.exchange.vocabulary import Category

    plan = {
        "resourceType": "CarePlan", "id": "p", "meta": {"versionId": "1", "security": [{"code": "HIV"}], "tag": [{"display": "SECRET"}], "source": "urn:SECRET"}, "status": "active",
        "intent": "plan", "subject": {"reference": "Patient/x", "display": "SECRET"}, "title": "projet",
        "activity": [{"progress": [{"text": "SECRET"}], "detail": {"status": "scheduled", "reasonCode": [{"text": "SECRET"}], "description": "SECRET", "kind": "Task"}}],
    }  # fmt: skip
    profile = profiles()["tddui-careplan-projet-personnalise"]
    assert Category.HEALTH in categories(profile, plan), "a path inside an element is decided too"
    told = filtered(profile, plan, {Category.ACCOMP})
    assert "SECRET" not in json.dumps(told) and "HIV" not in json.dumps(told)
    assert told["activity"] == [{"detail": {"status": "scheduled", "kind": "Task"}}] and told["meta"]["tag"][0]["code"] == "SUBSETTED"
    slot = {
        "resourceType": "Slot",
        "id": "s",
        "status": "busy",
        "start": "2026-09-01T08:00:00Z",
        "end": "2026-09-01T09:00:00Z",
        "comment": "SECRET",
        "schedule": {"reference": "Schedule/x"},
    }
    assert "SECRET" not in json.dumps(filtered(profiles()["tddui-slot-presence-absence"], slot, {Category.ADM}))
    whole = plan | {"text": {"div": "récit"}}
    assert categories(profile, whole) == set(Category) - {Category.TRACE}, "a narrative is decided by every category, and told to who has them all"
    assert filtered(profile, whole, categories(profile, whole)) == whole
