"""Resumable uploads: the tus protocol 1.0 (core, creation, termination). A cut line costs what was in flight.

The bytes are sealed before they leave the sender. The position is the size of the file on disk, so that nothing
is believed that was not written; whole, the file becomes a flow.
"""

import base64
import binascii
import fcntl
import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Status

from belvedere.api.auth import Sender, announced, caller, idempotency_key
from belvedere.api.schemas import Problem, Refusal
from belvedere.engine.b2.findings import finding
from belvedere.engine.b2.unwrap import MAX_CLEAR_BYTES
from belvedere.observatory.collect import reception, vault
from belvedere.observatory.collect.models import Upload

router = Router(tags=["dépôt par reprise"])
VERSION = "1.0.0"
PIECE = 1024 * 1024
_ERRORS = dict.fromkeys((400, 404, 409, 411, 413, 422, 423, 429), Problem)


def _headers(response: HttpResponse, **headers: Any) -> None:
    response["Tus-Resumable"] = VERSION
    response["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response[name.replace("_", "-")] = str(value)


def _metadata(text: str) -> dict[str, str]:
    found = {}
    for pair in filter(None, text.split(",")):
        name, _, value = pair.strip().partition(" ")
        try:
            found[name] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found


@router.api_operation(["OPTIONS"], "", auth=None, response={204: None}, summary="Ce que le serveur sait faire (tus)")
def options(request: HttpRequest, response: HttpResponse) -> Status:
    _headers(response, Tus_Version=VERSION, Tus_Extension="creation,termination", Tus_Max_Size=MAX_CLEAR_BYTES)
    return Status(204, None)


@router.post("", auth=Sender(), response={201: None, **_ERRORS}, summary="Ouvrir un dépôt par reprise (tus)")
def create(request: HttpRequest, response: HttpResponse) -> Status:
    """En-têtes : Upload-Length, Upload-Metadata (filename, test), Idempotency-Key."""
    sender = caller(request)
    length, key = announced(request, "Upload-Length", MAX_CLEAR_BYTES, "P400"), idempotency_key(request)
    if not length:
        raise Refusal("P400")
    before = Upload.objects.filter(group=sender.group, idempotency_key=key).first() if key else None
    if before is None:
        _check_room()
        told = _metadata(request.headers.get("Upload-Metadata", ""))
        try:
            before = Upload.objects.create(
                group=sender.group, sender=sender, name=secrets.token_hex(16) + ".p7m", length=length, started_at=timezone.now(),
                file_name=reception.clean_name(told.get("filename", "")), test=told.get("test") in ("1", "true"), idempotency_key=key,
            )  # fmt: skip
        except IntegrityError:
            before = Upload.objects.get(group=sender.group, idempotency_key=key)
    elif before.length != length:
        raise Refusal("P422")
    _headers(response, Location=request.build_absolute_uri(f"{request.path.rstrip('/')}/{before.name}"), Upload_Offset=_offset(before))
    return Status(201, None)


def _check_room() -> None:
    try:
        reception.check_room()
    except reception.Busy as error:
        raise Refusal("P429", **{"Retry-After": str(reception.RETRY_SECONDS)}) from error


def _find(request: HttpRequest, name: str) -> Upload:
    upload = Upload.objects.select_related("flow", "sender", "group").filter(name=name, group=caller(request).group).first()
    if upload is None:
        raise Refusal("P404")
    return upload


def _offset(upload: Upload) -> int:
    if upload.flow_id:
        return upload.length
    path = _path(upload)
    return path.stat().st_size if path else 0


def _path(upload: Upload) -> Path | None:
    """Where the bytes of an upload lie now."""
    return next((path for path in (vault.incoming_path(upload.name), vault.sealed_path(upload.name)) if path.exists()), None)


def _told(response: HttpResponse, upload: Upload) -> None:
    """Where an upload stands, and its receipt once it is whole."""
    if not upload.flow_id and _offset(upload) == upload.length:
        _complete(upload)
    _headers(response, Upload_Offset=_offset(upload), Upload_Length=upload.length)
    if upload.flow_id:
        response["Belvedere-Receipt"] = str(upload.flow_id)


@router.api_operation(["HEAD"], "/{name}", auth=Sender(), response={200: None, 404: Problem, 422: Problem}, summary="Où en est un dépôt (tus)")
def position(request: HttpRequest, response: HttpResponse, name: str) -> Status:
    _told(response, _find(request, name))
    return Status(200, None)


@router.patch("/{name}", auth=Sender(), response={204: None, **_ERRORS}, summary="Envoyer la suite (tus)")
def append(request: HttpRequest, response: HttpResponse, name: str) -> Status:
    """En-têtes : Upload-Offset, Content-Type application/offset+octet-stream."""
    upload = _find(request, name)
    if request.headers.get("Content-Type") != "application/offset+octet-stream":
        raise Refusal("P400")
    offset = announced(request, "Upload-Offset", MAX_CLEAR_BYTES, "P400")
    if upload.flow_id is None:
        _check_room()
        _write(request, upload, offset)
    _told(response, upload)
    return Status(204, None)


def _write(request: HttpRequest, upload: Upload, offset: int) -> None:
    """Append the body at its position; Refusal P409 when that is another one, P423 while somebody else writes."""
    path = vault.incoming_path(upload.name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDWR | (0 if offset else os.O_CREAT), 0o600)
    except FileNotFoundError as error:
        raise Refusal("P409") from error  # whole already, and on its way
    with os.fdopen(descriptor, "r+b") as stream:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refusal("P423") from error
        size = os.fstat(descriptor).st_size
        if size != offset:
            raise Refusal("P409", **{"Upload-Offset": str(size)})
        stream.seek(size)
        left = upload.length - size
        while left and (piece := request.read(min(PIECE, left))):
            if not size and not vault.looks_sealed(piece):
                path.unlink(missing_ok=True)
                upload.flow = reception.refuse_at_the_door(
                    finding("E703"), group=upload.group, sender=upload.sender, channel="api", file_name=upload.file_name, test=upload.test
                )
                upload.save(update_fields=["flow"])
                return
            stream.write(piece)
            left -= len(piece)
            size += len(piece)
        stream.flush()
        os.fsync(descriptor)


def _complete(upload: Upload) -> None:
    """Make a flow of a whole upload, once: whoever comes second finds it made. Refusal P422 when the idempotency
    key stands for another content; the bytes and the upload are then dropped."""
    path, digest = _path(upload), hashlib.sha256()
    if path is not None:  # hashed before the row is locked: nobody waits for it
        with path.open("rb") as stream:
            while piece := stream.read(PIECE):
                digest.update(piece)
    with transaction.atomic():
        fresh = Upload.objects.select_for_update(of=("self",)).get(pk=upload.pk)
        if fresh.flow_id:
            upload.flow_id = fresh.flow_id
            return
        if vault.incoming_path(upload.name).exists():
            vault.move_to_sealed(upload.name)
        try:
            upload.flow = reception.register(
                group=upload.group, sender=upload.sender, name=upload.name, size=upload.length, digest=digest.hexdigest(), channel="api",
                file_name=upload.file_name, test=upload.test, key=upload.idempotency_key or f"tus:{upload.name}",
            )  # fmt: skip
            upload.save(update_fields=["flow"])
            return
        except reception.KeyReused:
            upload.delete()
    vault.sealed_path(upload.name).unlink(missing_ok=True)
    raise Refusal("P422")


@router.delete("/{name}", auth=Sender(), response={204: None, 404: Problem}, summary="Abandonner un dépôt (tus)")
def terminate(request: HttpRequest, response: HttpResponse, name: str) -> Status:
    upload = _find(request, name)
    if upload.flow_id:
        raise Refusal("P404")
    vault.incoming_path(upload.name).unlink(missing_ok=True)
    upload.delete()
    _headers(response)
    return Status(204, None)
