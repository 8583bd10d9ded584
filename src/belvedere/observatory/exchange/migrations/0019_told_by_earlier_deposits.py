from django.db import migrations


def told(apps, schema_editor) -> None:
    """Those of the deposits that came before, from what they changed; whom else they spoke of, nobody knows."""
    apps.get_model("exchange", "Deposit").objects.exclude(original=b"").update(all_known=False)
    resource, row = apps.get_model("exchange", "Resource"), apps.get_model("exchange", "DepositPerson")
    pairs = resource.objects.exclude(person=None).values_list("deposit", "person").order_by("deposit", "person").distinct()
    row.objects.bulk_create((row(deposit_id=deposit, person_id=person) for deposit, person in pairs.iterator()), batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("exchange", "0018_persons_of_deposits")]
    operations = [migrations.RunPython(told, migrations.RunPython.noop)]
