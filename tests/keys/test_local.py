"""The key files of a data directory."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from polygon_edge import _core
from polygon_edge.errors import DataDirectoryError, DiskFullError, KeyExistsError, KeyFileError, KeyMissingError
from polygon_edge.keys.local import LocalKeys, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = {
    Secret.VALIDATOR: "consensus/validator.key",
    Secret.VALIDATOR_BLS: "consensus/validator-bls.key",
    Secret.NETWORK: "libp2p/libp2p.key",
}
# The order of secp256k1's group; the curve of BLS has a smaller one.
ORDER = bytes.fromhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")


def read(keys: LocalKeys, secret: Secret, create: bool = False) -> _core.EcdsaKey | _core.BlsKey:
    match secret:
        case Secret.VALIDATOR:
            return keys.validator_key(create)
        case Secret.VALIDATOR_BLS:
            return keys.bls_key(create)
        case Secret.NETWORK:
            return keys.network_key(create)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def prefix(secret: Secret) -> bytes:
    return bytes.fromhex("08021220") if secret is Secret.NETWORK else b""


def put(keys: LocalKeys, secret: Secret, content: bytes) -> Path:
    file = keys.file(secret)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


every_secret = pytest.mark.parametrize("secret", Secret, ids=lambda secret: secret.value)


@every_secret
def test_a_key_is_made_once_and_read_ever_after(secret: Secret, tmp_path: Path) -> None:
    keys = LocalKeys(tmp_path / "new" / "node")
    assert not keys.has(secret)
    made = read(keys, secret, create=True)
    assert files(tmp_path) == [f"new/node/{FILES[secret]}"]
    assert keys.has(secret)
    content = keys.file(secret).read_bytes()
    assert content == (prefix(secret) + made.secret).hex().encode()
    for create in (False, True):
        assert read(keys, secret, create).secret == made.secret
    assert keys.file(secret).read_bytes() == content
    with pytest.raises(KeyExistsError, match="already initialized"):
        keys.create(secret)
    assert keys.file(secret).read_bytes() == content


@every_secret
def test_a_key_is_its_owners_alone_whatever_the_umask(secret: Secret, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        read(LocalKeys(tmp_path), secret, create=True)
    finally:
        os.umask(before)
    file = tmp_path / FILES[secret]
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@every_secret
def test_no_key_is_a_missing_key_and_nothing_is_made(secret: Secret, tmp_path: Path) -> None:
    keys = LocalKeys(tmp_path / "node")
    with pytest.raises(KeyMissingError) as raised:
        read(keys, secret)
    assert str(raised.value) == f'{tmp_path}/node/{FILES[secret]}: secret "{secret.value}" not found'
    assert files(tmp_path) == []
    assert not (tmp_path / "node").exists()


def test_the_network_key_may_lie_where_the_documentation_says(tmp_path: Path) -> None:
    key = _core.EcdsaKey.generate()
    documented = tmp_path / "keystore" / "libp2p.key"
    documented.parent.mkdir()
    documented.write_bytes((prefix(Secret.NETWORK) + key.secret).hex().encode())
    keys = LocalKeys(tmp_path)
    assert keys.has(Secret.NETWORK)
    assert keys.network_key(create=True).secret == key.secret
    with pytest.raises(KeyExistsError, match=r"keystore/libp2p\.key"):
        keys.create(Secret.NETWORK)
    assert files(tmp_path) == ["keystore/libp2p.key"]
    other = _core.EcdsaKey.generate()
    put(keys, Secret.NETWORK, (prefix(Secret.NETWORK) + other.secret).hex().encode())
    assert keys.network_key(create=False).secret == other.secret


SPOILED: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("empty", lambda _: b"", "found 0 hex digits"),
    ("a line end", lambda text: text + b"\n", "hex digits with spaces or line ends around them"),
    ("0x", lambda text: b"0x" + text, "found hex digits after 0x"),
    ("short", lambda text: text[:-2], "hex digits"),
    ("long", lambda text: text + b"00", "hex digits"),
    ("no hex", lambda text: b"g" + text[1:], "bytes that are not all hex digits"),
    ("binary", lambda text: bytes.fromhex(text.decode()), "bytes that are not all hex digits"),
    ("huge", lambda text: text * 10000, "hex digits"),
]


@every_secret
@pytest.mark.parametrize(("spoil", "found"), [case[1:] for case in SPOILED], ids=[case[0] for case in SPOILED])
def test_what_is_no_key_is_named_and_never_shown(
    spoil: Callable[[bytes], bytes], found: str, secret: Secret, tmp_path: Path
) -> None:
    keys = LocalKeys(tmp_path)
    good = (prefix(secret) + bytes(31) + b"\x7b").hex().encode()
    content = spoil(good)
    file = put(keys, secret, content)
    for create in (False, True):
        with pytest.raises(KeyFileError) as raised:
            read(keys, secret, create)
        text = str(raised.value)
        assert text.startswith(f"{file}: is not a key: expected {len(good)} hex digits and nothing else")
        assert found in text
        assert "7b" not in text.replace(str(tmp_path), "")
        assert "7b" not in str(raised.value.document()).replace(str(tmp_path), "")
    assert file.read_bytes() == content


@every_secret
@pytest.mark.parametrize("number", [bytes(32), ORDER, b"\xff" * 32], ids=["zero", "order", "highest"])
def test_a_number_outside_the_curves_range_is_no_key(number: bytes, secret: Secret, tmp_path: Path) -> None:
    keys = LocalKeys(tmp_path)
    put(keys, secret, (prefix(secret) + number).hex().encode())
    with pytest.raises(KeyFileError, match="a number of its curve's range") as raised:
        read(keys, secret)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert number.hex() not in str(raised.value)


def test_a_network_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    keys = LocalKeys(tmp_path)
    put(keys, Secret.NETWORK, (bytes.fromhex("08011220") + bytes(32)).hex().encode())
    with pytest.raises(KeyFileError, match="found a key of another kind"):
        keys.network_key(create=False)


@every_secret
def test_a_key_that_cannot_be_read_is_not_made_anew(secret: Secret, tmp_path: Path) -> None:
    keys = LocalKeys(tmp_path)
    keys.file(secret).mkdir(parents=True)
    with pytest.raises(KeyFileError, match="cannot be read: Is a directory"):
        read(keys, secret, create=True)
    keys.file(secret).rmdir()
    keys.file(secret).symlink_to("nothing")
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        read(keys, secret, create=True)
    assert keys.file(secret).is_symlink()


def test_a_folder_that_cannot_be_searched_is_not_an_absent_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> os.stat_result:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "lstat", refuse)
    with pytest.raises(KeyFileError, match="cannot be read: Permission denied"):
        LocalKeys(tmp_path).has(Secret.VALIDATOR)


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "consensus").touch()
    keys = LocalKeys(tmp_path)
    assert not keys.has(Secret.VALIDATOR)
    with pytest.raises(DataDirectoryError, match="consensus: cannot be used: expected a folder, found a file"):
        keys.validator_key(create=True)


@pytest.mark.parametrize(("number", "raised"), [(errno.ENOSPC, DiskFullError), (errno.EIO, KeyFileError)])
def test_a_key_that_cannot_be_written_whole_is_not_there(
    number: int, raised: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    keys = LocalKeys(tmp_path)
    keys.directory.create(("consensus", "libp2p"))
    monkeypatch.setattr(keys.directory.__class__, "create", lambda *_: None)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(raised):
        keys.create(Secret.VALIDATOR)
    assert files(tmp_path) == []


def test_of_several_that_make_a_key_at_once_one_wins_and_all_agree(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    secrets: list[bytes] = []

    def make() -> None:
        start.wait()
        secrets.append(LocalKeys(tmp_path).validator_key(create=True).secret)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 8
    assert len(set(secrets)) == 1
    assert files(tmp_path) == ["consensus/validator.key"]
