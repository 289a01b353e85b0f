from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ServerStatus(_message.Message):
    __slots__ = ("network", "genesis", "current", "p2pAddr")
    class Block(_message.Message):
        __slots__ = ("number", "hash")
        NUMBER_FIELD_NUMBER: _ClassVar[int]
        HASH_FIELD_NUMBER: _ClassVar[int]
        number: int
        hash: str
        def __init__(self, number: _Optional[int] = ..., hash: _Optional[str] = ...) -> None: ...
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    GENESIS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    P2PADDR_FIELD_NUMBER: _ClassVar[int]
    network: int
    genesis: str
    current: ServerStatus.Block
    p2pAddr: str
    def __init__(self, network: _Optional[int] = ..., genesis: _Optional[str] = ..., current: _Optional[_Union[ServerStatus.Block, _Mapping]] = ..., p2pAddr: _Optional[str] = ...) -> None: ...

class Peer(_message.Message):
    __slots__ = ("id", "protocols", "addrs")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    ADDRS_FIELD_NUMBER: _ClassVar[int]
    id: str
    protocols: _containers.RepeatedScalarFieldContainer[str]
    addrs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., protocols: _Optional[_Iterable[str]] = ..., addrs: _Optional[_Iterable[str]] = ...) -> None: ...

class PeersAddRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class PeersAddResponse(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class PeersStatusRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class PeersListResponse(_message.Message):
    __slots__ = ("peers",)
    PEERS_FIELD_NUMBER: _ClassVar[int]
    peers: _containers.RepeatedCompositeFieldContainer[Peer]
    def __init__(self, peers: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ...) -> None: ...

class BlockchainEvent(_message.Message):
    __slots__ = ("added", "removed")
    class Header(_message.Message):
        __slots__ = ("number", "hash")
        NUMBER_FIELD_NUMBER: _ClassVar[int]
        HASH_FIELD_NUMBER: _ClassVar[int]
        number: int
        hash: str
        def __init__(self, number: _Optional[int] = ..., hash: _Optional[str] = ...) -> None: ...
    ADDED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    added: _containers.RepeatedCompositeFieldContainer[BlockchainEvent.Header]
    removed: _containers.RepeatedCompositeFieldContainer[BlockchainEvent.Header]
    def __init__(self, added: _Optional[_Iterable[_Union[BlockchainEvent.Header, _Mapping]]] = ..., removed: _Optional[_Iterable[_Union[BlockchainEvent.Header, _Mapping]]] = ...) -> None: ...

class BlockByNumberRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class BlockResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("to",)
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    to: int
    def __init__(self, to: _Optional[int] = ..., **kwargs) -> None: ...

class ExportEvent(_message.Message):
    __slots__ = ("to", "latest", "data")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    to: int
    latest: int
    data: bytes
    def __init__(self, to: _Optional[int] = ..., latest: _Optional[int] = ..., data: _Optional[bytes] = ..., **kwargs) -> None: ...
