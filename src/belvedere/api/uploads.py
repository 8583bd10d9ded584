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
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Status

from belvedere.api.auth import Sender
from belvedere.api.schemas import Problem, problem
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
    sender = request.auth  # type: ignore[attr-defined]
    length = request.headers.get("Upload-Length", "")
    if not length.isdecimal() or not int(length):
        return Status(400, problem("P400"))
    if int(length) > MAX_CLEAR_BYTES:
        return Status(413, problem("P413"))
    key = request.headers.get("Idempotency-Key") or None
    if key and len(key) > reception.KEY_LENGTH:
        return Status(400, problem("P400"))
    before = Upload.objects.filter(group=sender.group, idempotency_key=key).first() if key else None
    if before is None:
        try:
            reception.check_room()
        except reception.Busy:
            _headers(response, Retry_After=reception.RETRY_SECONDS)
            return Status(429, problem("P429"))
        told = _metadata(request.headers.get("Upload-Metadata", ""))
        try:
            before = Upload.objects.create(
                group=sender.group, sender=sender, name=secrets.token_hex(16) + ".p7m", length=int(length), started_at=timezone.now(),
                file_name=reception.clean_name(told.get("filename", "")), test=told.get("test") in ("1", "true"), idempotency_key=key,
            )  # fmt: skip
        except IntegrityError:
            before = Upload.objects.get(group=sender.group, idempotency_key=key)
    elif before.length != int(length):
        return Status(422, problem("P422"))
    _headers(response, Location=request.build_absolute_uri(f"{request.path.rstrip('/')}/{before.name}"), Upload_Offset=_offset(before))
    return Status(201, None)


def _find(request: HttpRequest, name: str) -> Upload | None:
    return Upload.objects.select_related("flow", "sender", "group").filter(name=name, group=request.auth.group).first()  # type: ignore[attr-defined]


def _offset(upload: Upload) -> int:
    if upload.flow_id:
        return upload.length
    for path in (vault.incoming_path(upload.name), vault.sealed_path(upload.name)):
        if path.exists():
            return path.stat().st_size
    return 0


@router.api_operation(["HEAD"], "/{name}", auth=Sender(), response={200: None, 404: Problem, 422: Problem}, summary="Où en est un dépôt (tus)")
def position(request: HttpRequest, response: HttpResponse, name: str) -> Status:
    upload = _find(request, name)
    if upload is None:
        return Status(404, problem("P404"))
    if not upload.flow_id and _offset(upload) == upload.length and not _complete(upload):
        return Status(422, problem("P422"))
    _headers(response, Upload_Offset=_offset(upload), Upload_Length=upload.length)
    if upload.flow_id:
        response["Belvedere-Receipt"] = str(upload.flow_id)
    return Status(200, None)


@router.patch("/{name}", auth=Sender(), response={204: None, **_ERRORS}, summary="Envoyer la suite (tus)")
def append(request: HttpRequest, response: HttpResponse, name: str) -> Status:
    """En-têtes : Upload-Offset, Content-Type application/offset+octet-stream."""
    upload = _find(request, name)
    if upload is None:
        return Status(404, problem("P404"))
    offset = request.headers.get("Upload-Offset", "")
    if not offset.isdecimal() or request.headers.get("Content-Type") != "application/offset+octet-stream":
        return Status(400, problem("P400"))
    if upload.flow_id is None:
        if not vault.room():
            _headers(response, Retry_After=reception.RETRY_SECONDS)
            return Status(429, problem("P429"))
        code = _write(request, upload, int(offset))
        if code:
            _headers(response, Upload_Offset=_offset(upload))
            return Status(int(code[1:]), problem(code))
        if upload.flow_id is None and _offset(upload) == upload.length and not _complete(upload):
            return Status(422, problem("P422"))
    _headers(response, Upload_Offset=_offset(upload))
    if upload.flow_id:
        response["Belvedere-Receipt"] = str(upload.flow_id)
    return Status(204, None)


def _write(request: HttpRequest, upload: Upload, offset: int) -> str:
    """Append the body at its position; the code of a problem, or nothing."""
    path = vault.incoming_path(upload.name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDWR | (0 if offset else os.O_CREAT), 0o600)
    except FileNotFoundError:
        return "P409"  # whole already, and on its way
    with os.fdopen(descriptor, "r+b") as stream:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "P423"
        size = os.fstat(descriptor).st_size
        if size != offset:
            return "P409"
        stream.seek(size)
        left = upload.length - size
        while left and (piece := request.read(min(PIECE, left))):
            if not size and not vault.looks_sealed(piece):
                path.unlink(missing_ok=True)
                upload.flow = reception.refuse_at_the_door(
                    finding("E703"), group=upload.group, sender=upload.sender, channel="api", file_name=upload.file_name, test=upload.test
                )
                upload.save(update_fields=["flow"])
                return ""
            stream.write(piece)
            left -= len(piece)
            size += len(piece)
        stream.flush()
        os.fsync(descriptor)
    return ""


def _complete(upload: Upload) -> bool:
    """Make a flow of a whole upload, once: whoever comes second finds it made. False when the idempotency key
    stands for another content; the bytes are then dropped."""
    with transaction.atomic():
        fresh = Upload.objects.select_for_update(of=("self",)).get(pk=upload.pk)
        if fresh.flow_id:
            upload.flow_id = fresh.flow_id
            return True
        if vault.incoming_path(upload.name).exists():
            vault.move_to_sealed(upload.name)
        digest = hashlib.sha256()
        with vault.sealed_path(upload.name).open("rb") as stream:
            while piece := stream.read(PIECE):
                digest.update(piece)
        try:
            upload.flow = reception.register(
                group=upload.group, sender=upload.sender, name=upload.name, size=upload.length, digest=digest.hexdigest(), channel="api",
                file_name=upload.file_name, test=upload.test, key=upload.idempotency_key or f"tus:{upload.name}",
            )  # fmt: skip
        except reception.KeyReused:
            vault.sealed_path(upload.name).unlink(missing_ok=True)
            return False
        upload.save(update_fields=["flow"])
    return True


@router.delete("/{name}", auth=Sender(), response={204: None, 404: Problem}, summary="Abandonner un dépôt (tus)")
def terminate(request: HttpRequest, response: HttpResponse, name: str) -> Status:
    upload = _find(request, name)
    if upload is None or upload.flow_id:
        return Status(404, problem("P404"))
    vault.incoming_path(upload.name).unlink(missing_ok=True)
    upload.delete()
    _headers(response)
    return Status(204, None)
