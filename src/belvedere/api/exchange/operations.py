"""Every operation of the FHIR face, in the order in which addresses are matched, and the conformance statement made of them."""

import re

from django.http import HttpResponse

from belvedere import __version__
from belvedere.api.exchange import bulk, reads, records, subscriptions
from belvedere.api.exchange.fhir import MEDIA, Call, Operation, Problem, answer
from belvedere.engine.exchange.profiles import BARE, profiles
from belvedere.observatory.exchange import messages


def metadata(call: Call) -> HttpResponse:
    """The conformance statement."""
    return answer(statement())


def _name(operation: Operation) -> str:
    """How the definition of an operation is addressed."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", operation.pattern).strip("-")


def definition(call: Call) -> HttpResponse:
    """What an operation of the statement is."""
    found = next((one for one in OPERATIONS if one.interaction == "operation" and _name(one) == call.parts["id"]), None)
    if found is None:
        raise Problem(404, "not-found", "Cette opération n’existe pas : voyez /fhir/metadata.")
    head, instance = found.pattern.split("/")[0], "{id}" in found.pattern
    code = found.pattern.rsplit("$", 1)[-1].split("/")[0]
    return answer({
        "resourceType": "OperationDefinition", "id": _name(found), "url": f"{messages.base()}/OperationDefinition/{_name(found)}", "name": code.title().replace("-", ""),
        "status": "active", "kind": "operation", "code": code, "description": found.doc, "system": head.startswith("$"), "type": not head.startswith("$") and not instance,
        "instance": not head.startswith("$") and instance, **({} if head.startswith("$") else {"resource": [head]}),
    })  # fmt: skip


OPERATIONS = (
    Operation("GET", "metadata", "capabilities", "Déclaration de conformité.", metadata, open=True),
    Operation("POST", "", "transaction", "Dépôt TDDUI : tout ou rien, une seule fois par identifiant.", reads.deposit),
    Operation("POST", "Bundle/$validate", "operation", "Essai d’un dépôt : mêmes contrôles, rien n’est gardé.", reads.validate),
    Operation("POST", "Consent", "create", "Volonté d’une personne accompagnée : accord, opposition, retrait.", records.state_consent),
    Operation("PUT", "Consent/{id}", "update", "Une volonté de plus, à la suite : aucune ne se change.", records.state_consent),
    Operation("GET", "Consent/{id}", "read", "Une volonté que l’établissement a écrite.", records.consent),
    Operation("GET", "AuditEvent", "search-type", "Traces, entre deux dates.", records.audit, params=(("date", "date"),)),
    Operation(
        "GET",
        "Provenance",
        "search-type",
        "D’où vient chaque version d’une ressource : target=Type/identifiant.",
        reads.provenance,
        params=(("target", "reference"),),
    ),
    Operation("GET", "CodeSystem/$lookup", "operation", "Ce qu’un code voulait dire à une date.", records.lookup, open=True),
    Operation("GET", "ValueSet/$expand", "operation", "Les codes d’un jeu de valeurs à une date.", records.expand, open=True),
    Operation("GET", "ValueSet/$validate-code", "operation", "Si un code est d’un jeu à une date.", records.validate_code, open=True),
    Operation("GET", "OperationDefinition/{id}", "read", "Ce qu’est une opération.", definition, open=True),
    Operation("GET", "SubscriptionTopic/{id}", "read", "Un sujet d’abonnement.", subscriptions.topic, open=True),
    Operation("POST", "Subscription", "create", "S’abonner à un sujet.", subscriptions.create),
    Operation("GET", "Subscription", "search-type", "Ses abonnements.", subscriptions.listing),
    Operation("GET", "Subscription/{id}", "read", "Un de ses abonnements.", subscriptions.read),
    Operation("PUT", "Subscription/{id}", "update", "Relancer ou arrêter un abonnement.", subscriptions.update),
    Operation("DELETE", "Subscription/{id}", "delete", "Arrêter un abonnement.", subscriptions.delete),
    Operation("GET", "Subscription/{id}/$status", "operation", "Où en est un abonnement.", subscriptions.status),
    Operation("GET", "Subscription/{id}/$events", "operation", "Rattraper des événements par leur numéro.", subscriptions.events),
    Operation("GET", "$export", "operation", "Export de masse : tout ce que l’on peut lire, par type, fait à part.", bulk.kick_off),
    Operation("GET", "$export-status/{id}", "operation", "Où en est un export de masse, puis ses fichiers.", bulk.status),
    Operation("DELETE", "$export-status/{id}", "operation", "Abandonner un export de masse.", bulk.drop),
    Operation("GET", "$export-file/{id}/{type}/{version}", "operation", "Une partie des ressources d’un type, une par ligne.", bulk.take),
    Operation("GET", "{type}/{id}/_history", "history-instance", "Les versions d’une ressource.", reads.history),
    Operation("GET", "{type}/{id}/_history/{version}", "vread", "Une version d’une ressource.", reads.one),
    Operation("GET", "{type}/{id}", "read", "Une ressource, élément par élément selon le droit.", reads.one),
    Operation(
        "GET",
        "{type}",
        "search-type",
        "Les ressources d’un type que l’on peut lire.",
        reads.search,
        params=(("patient", "reference"), ("_lastUpdated", "date")),
    ),
)


def statement() -> dict:
    """The CapabilityStatement, from the table above and the profiles that a deposit may hold."""
    generic = [operation for operation in OPERATIONS if operation.pattern.startswith("{type}")]
    kinds: dict[str, list[Operation]] = {profile.type: list(generic) for profile in profiles().values()}
    for operation in OPERATIONS:
        head = operation.pattern.split("/")[0]
        if head and head[0] not in "{m" and operation.interaction != "operation":
            kinds.setdefault(head, []).append(operation)
    system = [operation for operation in OPERATIONS if operation.interaction == "transaction"]
    resources = []
    for kind, operations in sorted(kinds.items()):
        supported = [profile.canonical for profile in profiles().values() if profile.type == kind]
        made: dict = {"type": kind, "interaction": [{"code": operation.interaction, "documentation": operation.doc} for operation in operations]}
        if supported:
            made["supportedProfile"] = supported
        params = {name: type_ for operation in operations for name, type_ in operation.params if not (name == "patient" and kind in BARE)}
        if params:
            made["searchParam"] = [{"name": name, "type": type_} for name, type_ in params.items()]
        resources.append(made)
    named = [
        {"name": operation.pattern.rsplit("$", 1)[-1].split("/")[0], "definition": f"{messages.base()}/OperationDefinition/{_name(operation)}", "documentation": operation.doc}
        for operation in OPERATIONS if operation.interaction == "operation"
    ]  # fmt: skip
    return {
        "resourceType": "CapabilityStatement", "status": "active", "date": "2026-11-22", "kind": "instance", "fhirVersion": "4.0.1", "format": [MEDIA],
        "software": {"name": "Belvédère", "version": __version__}, "implementation": {"description": "Hub d’échanges médico-social", "url": messages.base()},
        "rest": [{
            "mode": "server", "security": {"description": "Certificat de structure (mTLS), jeton d’acteur (Bearer) lié ou non à ce certificat, ou jeton échangé contre celui de Pro Santé Connect (RFC 8693) ; X-Finalite dit pourquoi, X-Grain à quel grain (NOMINATIF ou PSEUDONYME)."},
            "resource": resources, "interaction": [{"code": operation.interaction, "documentation": operation.doc} for operation in system], "operation": named,
        }],
    }  # fmt: skip
