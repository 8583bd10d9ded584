"""The SFTP way in: one key and one folder per sender, which sees nothing else. A file put in `depot` becomes a
flow when it is closed under its final name; receipts come back in `accuses`.

Bytes that are not sealed are refused at the first write, before any reaches the disk.
"""

import asyncio
import logging
import os
import time
from pathlib import Path

import asyncssh
from django.db import close_old_connections

from belvedere.engine.b2.findings import finding
from belvedere.observatory import keyfiles
from belvedere.observatory.collect import inbox, reception, vault
from belvedere.observatory.members.actions import sender_by_id
from belvedere.observatory.members.models import SenderKey

logger = logging.getLogger(__name__)
_open: set[Path] = set()  # files that a session is writing now
DEPOSIT, RECEIPTS = "depot", "accuses"
PARTIAL = (".part", ".partial", ".filepart", ".tmp", ".uploading")  # what clients name a file that is not whole
CLEAR = "Fichier en clair refuse : chiffrez-le pour l'observatoire (E703)"


def _in_thread(call, *arguments):
    close_old_connections()
    try:
        return call(*arguments)
    finally:
        close_old_connections()


def take(sender: SenderKey, path: Path) -> int | None:
    """Make a flow of a whole file and remove it; its receipt number. Busy leaves it for later."""
    stat = path.stat()
    key = f"sftp:{sender.pk}:{stat.st_ino}:{stat.st_ctime_ns}:{stat.st_size}"
    flow = reception.receive(group=sender.group, sender=sender, sealed=inbox.pieces(path), channel="sftp", file_name=path.name, key=key)
    path.unlink(missing_ok=True)
    return flow.pk


def take_left_overs(age: float = inbox.SETTLE_AGE) -> int:
    """Files whose taking a crash or a full queue prevented; returns how many were taken."""
    taken, root = 0, vault.sftp_root("")
    for path in sorted(root.glob(f"*/{DEPOSIT}/*")) if root.is_dir() else ():
        try:
            if path in _open or path.suffix in PARTIAL or time.time() - path.stat().st_mtime < age:
                continue
            sender = sender_by_id(path.parent.parent.name)
            if sender is not None:
                take(sender, path)
                taken += 1
        except reception.Busy:
            break
        except Exception as error:  # one file, or the database for a moment: the others and the next turn go on
            logger.error("sftp : %s", type(error).__name__)
    return taken


class Server(asyncssh.SSHServer):
    """Who may enter: the holder of a sender's key, under the sender's name. No password, no shell."""

    def __init__(self) -> None:
        self.sender: SenderKey | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    async def begin_auth(self, username: str) -> bool:
        self.sender = await asyncio.to_thread(_in_thread, sender_by_id, username)
        if self.sender and self.sender.public_key:
            self._connection.set_authorized_keys(asyncssh.import_authorized_keys(self.sender.public_key))
            self._connection.set_extra_info(sender=self.sender)
        return True

    def public_key_auth_supported(self) -> bool:
        return bool(self.sender and self.sender.public_key)

    def password_auth_supported(self) -> bool:
        return False


class Folder(asyncssh.SFTPServer):
    """One sender's folder."""

    def __init__(self, chan: asyncssh.SSHServerChannel) -> None:
        self._sender: SenderKey = chan.get_connection().get_extra_info("sender")
        root = vault.sftp_root(self._sender.client_id)
        for name in (DEPOSIT, RECEIPTS):
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._root = root
        self._refused: set[int] = set()
        self._paths: dict[int, Path] = {}
        super().__init__(chan, chroot=os.fsencode(str(root)))

    def _local(self, path: bytes) -> Path:
        return Path(os.fsdecode(self.map_path(path)))

    def _writable(self, path: bytes) -> Path:
        local = self._local(path)
        if local.parent != self._root / DEPOSIT or local.name.startswith("."):
            raise asyncssh.SFTPPermissionDenied(f"Les depots se font dans /{DEPOSIT}")
        return local

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if pflags & (asyncssh.FXF_WRITE | asyncssh.FXF_APPEND | asyncssh.FXF_CREAT):
            local = self._writable(path)
            if not vault.room():
                raise asyncssh.SFTPFailure("Observatoire sature, reessayez plus tard")
            stream = super().open(path, pflags | asyncssh.FXF_READ, attrs)
            self._paths[id(stream)] = local
            _open.add(local)
            return stream
        return super().open(path, pflags, attrs)

    async def _refuse(self, path: Path) -> int:
        path.unlink(missing_ok=True)
        await asyncio.to_thread(_in_thread, self._note_clear, path.name)
        raise asyncssh.SFTPPermissionDenied(CLEAR)

    def _note_clear(self, name: str) -> None:
        reception.refuse_at_the_door(finding("E703"), group=self._sender.group, sender=self._sender, channel="sftp", file_name=name)

    def write(self, file_obj: object, offset: int, data: bytes) -> object:
        if id(file_obj) in self._refused:
            raise asyncssh.SFTPPermissionDenied(CLEAR)
        if offset == 0 and not vault.looks_sealed(data):
            self._refused.add(id(file_obj))
            return self._refuse(self._paths[id(file_obj)])
        if offset and not os.fstat(file_obj.fileno()).st_size:
            raise asyncssh.SFTPFailure("Le debut du fichier doit etre ecrit d'abord")
        return super().write(file_obj, offset, data)

    async def close(self, file_obj: object) -> None:
        path = self._paths.pop(id(file_obj), None)
        if path is not None and path.exists():
            os.fsync(file_obj.fileno())
        super().close(file_obj)
        self._refused.discard(id(file_obj))
        if path is not None:
            _open.discard(path)
            await self._whole(path)

    async def _whole(self, path: Path) -> None:
        if path.suffix not in PARTIAL and path.exists() and path.stat().st_size:
            await asyncio.to_thread(_in_thread, self._take, path)

    def _take(self, path: Path) -> None:
        try:
            if sender_by_id(self._sender.client_id) is None:  # revoked since it entered
                path.unlink(missing_ok=True)
                return
            take(self._sender, path)
        except reception.Busy as error:  # the file stays and is taken later; the sender knows that it is here
            logger.warning("sftp : %s", error)
        except Exception as error:  # the file stays in the deposit folder: the next turn takes it
            logger.error("sftp : %s", type(error).__name__)

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        self._writable(oldpath)
        target = self._writable(newpath)
        super().rename(oldpath, newpath)
        await self._whole(target)

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self.rename(oldpath, newpath)

    def remove(self, path: bytes) -> None:
        self._writable(path)
        super().remove(path)

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        raise asyncssh.SFTPPermissionDenied("Dossiers fixes")

    def rmdir(self, path: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("Dossiers fixes")

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("Liens interdits")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("Liens interdits")

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        self._writable(path)


def host_key() -> asyncssh.SSHKey:
    """The server's own key, made on first use."""
    path = keyfiles.keys_dir() / "sftp_host.key"
    if not path.exists():
        keyfiles.write_secret(path, asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    return asyncssh.import_private_key(keyfiles.strict(path))


async def listen(host: str, port: int) -> asyncssh.SSHAcceptor:
    """Start the server."""
    return await asyncssh.listen(
        host, port, server_factory=Server, server_host_keys=[host_key()], sftp_factory=Folder, allow_scp=False, encoding=None,
        server_version="Belvedere", login_timeout="30s", keepalive_interval="60s",
    )  # fmt: skip
