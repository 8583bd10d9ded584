"""Who was counted in what an institution was told: sealed, read by the next count alone, so that no difference of two counts tells who came or left."""

import pyarrow as pa
from django.db import transaction

from belvedere.engine.exchange.turnover import SCHEMA, forgotten
from belvedere.observatory.exchange import vault
from belvedere.observatory.exchange.models import Alias, Dataset, Party, Person
from belvedere.observatory.publication import gate


def about(dataset: Dataset) -> str:
    """What the sealed list of a dataset is bound to."""
    return f"comptees:{dataset.code}:{dataset.version}"


def seal(dataset: Dataset, counted: pa.Table) -> None:
    """Put who was counted into a dataset (not saved)."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_table(counted)
    dataset.counted = vault.seal(sink.getvalue().to_pybytes(), about(dataset))


def unseal(dataset: Dataset) -> pa.Table:
    """Who was counted, as it was written."""
    return pa.ipc.open_stream(vault.unseal(bytes(dataset.counted), about(dataset))).read_all()


def today(counted: pa.Table) -> pa.Table:
    """The same persons under the numbers they have today, those who proved to be one since being one, and under the operators of today."""
    moved = dict(Alias.objects.exclude(own_name="").values_list("own_name", "person_id"))
    merged = Person.objects.filter(token__in=Alias.objects.exclude(own_name="").values("own_name"))
    numbers = {pk: moved[token] for pk, token in merged.values_list("pk", "token")}
    # Who runs a place may have changed hands: its persons have not.
    entities = dict(Party.objects.exclude(entity="").values_list("pk", "entity"))
    pairs = zip(counted["establishment"].to_pylist(), counted["operator"].to_pylist(), strict=True)
    operators = pa.array([entities.get(place, operator) for place, operator in pairs], pa.string())
    counted = counted.set_column(SCHEMA.get_field_index("operator"), SCHEMA.field("operator"), operators)
    people = pa.array([numbers.get(person, person) for person in counted["person"].to_pylist()], pa.int64())
    return counted.set_column(SCHEMA.get_field_index("person"), SCHEMA.field("person"), people)


@transaction.atomic
def forget(*, people: list[int], party: Party) -> int:
    """Take the numbers of an erased person (every one it had) out of the counts that an establishment is in; in how many counts it was."""
    gate.hold()  # no count is being made of what is erased
    done = 0
    for dataset in Dataset.objects.select_for_update(of=("self",)).exclude(counted=b""):
        before = after = unseal(dataset)
        for person in people:
            after = forgotten(after, person, party.pk)
        if not after.equals(before):
            seal(dataset, after)
            dataset.save(update_fields=["counted"])
            done += 1
    return done
