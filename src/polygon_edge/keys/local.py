"""The secrets of a data directory: three key files, read and created (§3.2, §6.1).

Knows what each file holds and nothing of what the keys are used for. No message and no error holds anything of a key.
"""

from __future__ import annotations

import contextlib
import re
from enum import Enum, unique
from typing import TYPE_CHECKING, TypeVar

from polygon_edge import _core
from polygon_edge.errors import KeyExistsError, KeyFileError, KeyMissingError
from polygon_edge.keys.identity import SECRET_KEY_PREFIX
from polygon_edge.store.data_dir import DataDirectory
from polygon_edge.store.durable import create_durably

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET_SIZE = 32
KEY_FILE_MODE = 0o600
_KEY_FOLDERS = ("consensus", "libp2p")
_LONGEST_FILE = 4096
_HEX = re.compile(rb"[0-9a-fA-F]*")

_Key = TypeVar("_Key", _core.EcdsaKey, _core.BlsKey)


@unique
class Secret(Enum):
    """The secrets of a node, by the names that every secrets manager has for them."""

    VALIDATOR = "validator-key"
    VALIDATOR_BLS = "validator-bls-key"
    NETWORK = "network-key"


class LocalKeys:
    """The key files below the data directory `data_dir`; nothing is read or made before it is asked for."""

    def __init__(self, data_dir: Path) -> None:
        self.directory = DataDirectory(data_dir)

    def file(self, secret: Secret) -> Path:
        """Return where `secret` is written."""
        match secret:
            case Secret.VALIDATOR:
                return self.directory.consensus / "validator.key"
            case Secret.VALIDATOR_BLS:
                return self.directory.consensus / "validator-bls.key"
            case Secret.NETWORK:
                return self.directory.libp2p / "libp2p.key"

    def has(self, secret: Secret) -> bool:
        """Whether there is a file for `secret`, whatever it holds; raises KeyFileError when that cannot be told."""
        return self._found(secret) is not None

    def validator_key(self, create: bool) -> _core.EcdsaKey:
        """Return the key that seals and votes, made now if there is none and `create`.

        Raises KeyMissingError, KeyFileError, DataDirectoryError and DiskFullError.
        """
        if create:
            self._create_missing(Secret.VALIDATOR)
        return self._read(Secret.VALIDATOR, b"", _core.EcdsaKey)

    def bls_key(self, create: bool) -> _core.BlsKey:
        """Return the key of BLS seals, made now if there is none and `create`; raises as `validator_key`."""
        if create:
            self._create_missing(Secret.VALIDATOR_BLS)
        return self._read(Secret.VALIDATOR_BLS, b"", _core.BlsKey)

    def network_key(self, create: bool) -> _core.EcdsaKey:
        """Return the key of the node's id, made now if there is none and `create`; raises as `validator_key`.

        Without `libp2p/libp2p.key` the file `keystore/libp2p.key` is read (D-4).
        """
        if create:
            self._create_missing(Secret.NETWORK)
        return self._read(Secret.NETWORK, SECRET_KEY_PREFIX, _core.EcdsaKey)

    def require_absent(self, secret: Secret) -> None:
        """Raise KeyExistsError when there is a file for `secret`."""
        found = self._found(secret)
        if found is not None:
            raise KeyExistsError(str(found), secret.value)

    def create(self, secret: Secret) -> None:
        """Make a new key for `secret`, durably, readable by its owner only.

        Raises KeyExistsError when there is a file already, DataDirectoryError and DiskFullError.
        """
        self.require_absent(secret)
        self.directory.create(_KEY_FOLDERS)
        file = self.file(secret)
        try:
            create_durably(file, _new_content(secret), KEY_FILE_MODE)
        except FileExistsError as error:
            raise KeyExistsError(str(file), secret.value) from error
        except OSError as error:
            raise KeyFileError(str(file), f"cannot be created: {error.strerror or error}") from error

    def _create_missing(self, secret: Secret) -> None:
        # Whoever was quicker made it: then that one counts.
        with contextlib.suppress(KeyExistsError):
            self.create(secret)

    def _found(self, secret: Secret) -> Path | None:
        files = [self.file(secret)]
        if secret is Secret.NETWORK:
            files.append(self.directory.keystore / files[0].name)
        for file in files:
            try:
                file.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                # Not "there is none": a key made now would give the node another identity.
                raise KeyFileError(str(file), f"cannot be read: {error.strerror or error}") from error
            return file
        return None

    def _read(self, secret: Secret, prefix: bytes, make: Callable[[bytes], _Key]) -> _Key:
        file = self._found(secret)
        if file is None:
            raise KeyMissingError(str(self.file(secret)), secret.value)
        try:
            with file.open("rb") as stream:
                content = stream.read(_LONGEST_FILE)
        except OSError as error:
            raise KeyFileError(str(file), f"cannot be read: {error.strerror or error}") from error
        size = len(prefix) + SECRET_SIZE
        expected = f"{2 * size} hex digits and nothing else"
        if prefix:
            expected += f", {prefix.hex()} first: a secp256k1 key as libp2p writes it"
        if len(content) != 2 * size or not _HEX.fullmatch(content):
            raise KeyFileError(str(file), "is not a key", expected=expected, found=_described(content))
        decoded = bytes.fromhex(content.decode("ascii"))
        if not decoded.startswith(prefix):
            raise KeyFileError(str(file), "is not a key", expected=expected, found="a key of another kind")
        try:
            return make(decoded[len(prefix) :])
        except ValueError:
            # The cause is left out: it might quote the number.
            problem = KeyFileError(str(file), "is not a key", expected="a number of its curve's range", found="another")
        raise problem


def _new_content(secret: Secret) -> bytes:
    content = (_core.BlsKey if secret is Secret.VALIDATOR_BLS else _core.EcdsaKey).generate().secret
    if secret is Secret.NETWORK:
        content = SECRET_KEY_PREFIX + content
    return content.hex().encode("ascii")


def _described(content: bytes) -> str:
    """Say what is wrong with the content of a key file without giving any of it away."""
    stripped = content.strip()
    if stripped != content and _HEX.fullmatch(stripped):
        return f"{len(stripped)} hex digits with spaces or line ends around them"
    if stripped[:2] in (b"0x", b"0X"):
        return "hex digits after 0x"
    if _HEX.fullmatch(content):
        return f"{len(content)} hex digits"
    return f"{len(content)} bytes that are not all hex digits"
