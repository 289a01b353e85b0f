"""What a server is told: addresses, folders, limits. Plain values; flags and files that fill them are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from polygon_edge.errors import UsageError

DEFAULT_DATA_DIR = Path("./test-chain")
"""What the documentation of the Go client promises, and what its last releases no longer keep (D-2)."""


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address to listen on; `host` is an IP address or a name, port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, missing_host: str) -> Address:
        """Read `host:port`, `:port` or `[v6]:port` as the Go client does; raises UsageError (§1.1)."""
        host, separator, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        problem: str | None = None
        if not separator:
            problem = f"address {text}: missing port in address"
        elif ":" in host and not bracketed:
            problem = f"address {text}: too many colons in address"
        elif port and (not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535):
            problem = f"address {port}: invalid port"
        elif not _can_be_looked_up(host):
            problem = f"lookup {host}: no such host"
        if problem is not None:
            raise UsageError(f"failed to parse addr '{text}': {problem}")
        return cls((host[1:-1] if bracketed else host) or missing_host, int(port or 0))

    @property
    def multiaddress(self) -> str:
        """The address as libp2p writes it."""
        try:
            kind = f"ip{ip_address(self.host).version}"
        except ValueError:
            kind = "dns"
        return f"/{kind}/{self.host}/tcp/{self.port}"

    @property
    def is_open_to_all(self) -> bool:
        """Whether it listens on every interface of the machine."""
        try:
            return ip_address(self.host).is_unspecified
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _can_be_looked_up(host: str) -> bool:
    """Whether a name server could be asked for it; its answer is nobody's business before somebody listens."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return "\0" not in host


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Limits of the transaction pool: least gas price in wei, slots of 32 KiB, waiting transactions per account."""

    price_limit: int = 0
    max_slots: int = 4096
    max_enqueued: int = 128


@dataclass(frozen=True, slots=True)
class JsonRpcSettings:
    """Limits of JSON-RPC, 0 for none, and the origins a browser may ask from."""

    batch_limit: int = 20
    block_range_limit: int = 1000
    allowed_origins: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything `server` is told (§1.1)."""

    chain: Path = Path("./genesis.json")
    data_dir: Path = DEFAULT_DATA_DIR
    grpc: Address = Address("127.0.0.1", 9632)
    jsonrpc: Address = Address("0.0.0.0", 8545)  # noqa: S104 - the Go client's default; the node warns of it
    libp2p: Address = Address("127.0.0.1", 1478)
    restore: Path | None = None
    abandon_restore: bool = False
    strict: bool = False
    block_gas_target: int | None = None
    block_time_seconds: int = 2
    pool: PoolSettings = field(default_factory=PoolSettings)
    json_rpc: JsonRpcSettings = field(default_factory=JsonRpcSettings)
    export_delay_seconds: float = 0.0
