"""The node: the only place where all its parts are put together, started in order and stopped in order.

Owns the order of §3.1 and of D-6, and nothing of what the parts do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.archive.opening import NamedArchive
from polygon_edge.chain.address import checksum_address
from polygon_edge.chain.genesis_block import core_rules
from polygon_edge.chain.intrinsic_gas import intrinsic_gas
from polygon_edge.chain.rules import refuse_base_fees_without_divisors, rules_of
from polygon_edge.config import Address
from polygon_edge.consensus.head_validators import save_validators, validators_at_head
from polygon_edge.errors import PolygonEdgeError
from polygon_edge.execution.append import Appender
from polygon_edge.execution.dev_blocks import DevBlocks
from polygon_edge.execution.head_feed import HeadFeed
from polygon_edge.execution.sealing import Sealer, SealingRules
from polygon_edge.jsonrpc.app import JsonRpcServer
from polygon_edge.jsonrpc.context import Backend, Limits, SyncProgress
from polygon_edge.keys.identity import node_id
from polygon_edge.keys.local import LocalKeys
from polygon_edge.observe.progress import show_progress
from polygon_edge.operator.server import OperatorServer
from polygon_edge.restore import Restore
from polygon_edge.store.data_dir import DataDirectory
from polygon_edge.store.head_state import HeadState
from polygon_edge.store.start import start_chain
from polygon_edge.txpool.pool import PoolLimits, TransactionPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from polygon_edge.chain.genesis import Genesis
    from polygon_edge.chain.rules import Rules
    from polygon_edge.config import ServerConfig
    from polygon_edge.consensus.engine import Engine
    from polygon_edge.execution.block_thread import BlockThread
    from polygon_edge.execution.importer import Imported
    from polygon_edge.observe.progress import Progress

logger = logging.getLogger(__name__)

NANOSECONDS = 1_000_000_000
NOTICE_SECONDS = 0.05
"""How soon a stop is noticed while the node serves."""

DEV_INTERVAL_SECONDS = 1
"""Between blocks of the engine `dev`, where nobody asks for another interval."""

GRACE_SECONDS = 1
"""How long a stop lets the requests go on that are being answered."""


def _warn_if_open(door: str, address: Address) -> None:
    if address.is_open_to_all:
        logger.warning("%s listens on all interfaces of this machine: whoever reaches it can use it", door)


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """What this node would seal with: its key, and its BLS key on a chain that has BLS seals at some height."""

    key: _core.EcdsaKey
    bls_key: _core.BlsKey | None


@dataclass(frozen=True, slots=True)
class Sealing:
    """Who makes blocks, running or not, none for the engine `dummy`; and the validators that follow what it appends."""

    sealer: BlockThread | None
    engine: Engine

    @property
    def error(self) -> BaseException | None:
        """What ended it before its time."""
        return None if self.sealer is None else self.sealer.error


@dataclass(slots=True)
class RestoreReporter:
    """Tells terminal, `eth_syncing` and the head feed how far a restore has come."""

    shown: Progress
    chain: _core.Chain
    heads: HeadFeed
    on_head: Callable[[int], None]

    def update(self, *, blocks: int, transactions: int, gas: int, head: int) -> None:
        """Count blocks that are stored for good; `head` is the last of them."""
        self.shown.update(blocks=blocks, transactions=transactions, gas=gas, head=head)
        self.on_head(head)
        block_hash = self.chain.canonical_hash(head)
        if block_hash is not None:
            self.heads.publish(head, block_hash)


class Node:
    """One node, from its data directory to its doors; `run` does not return before it has stopped.

    `stop` asks it to stop; `on_stopping` is called once when it begins to.
    """

    def __init__(
        self,
        config: ServerConfig,
        genesis: Genesis,
        *,
        version: str,
        stop: threading.Event,
        on_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._genesis = genesis
        self._version = version
        self._stop = stop
        self._on_stopping = on_stopping
        self._rules: Rules = rules_of(genesis)
        self._directory = DataDirectory(config.data_dir)
        self._heads = HeadFeed()
        self._sync: SyncProgress | None = None

    def run(self) -> None:
        """Start, serve until `stop` is set, and stop: doors, pool, consensus, databases.

        Raises what a start may: ArchiveError before anything is made, GenesisError, DataDirectoryError, DiskFullError,
        ListenError; what a restore may, StoppedBySignalError when it was stopped inside one; and the error that ended
        sealing.
        """
        logger.info("polygon-edge %s", self._version)
        logger.info("data directory: %s", self._config.data_dir.absolute())
        with contextlib.ExitStack() as stack:
            archive: NamedArchive | None = None
            if self._config.restore is not None:
                archive = stack.enter_context(NamedArchive(str(self._config.restore), self._stop))
                archive.check_file()
            self._directory.create()
            keys = LocalKeys(self._config.data_dir)
            network_key = keys.network_key(create=True)
            self._directory.warn_of_lost_blocks()
            chain = stack.enter_context(self._databases())
            block = start_chain(chain, self._rules, self._genesis)
            self._say_chain(block.hash)
            number, block_hash, _ = chain.tip
            logger.info("head: number=%d hash=0x%s", number, block_hash.hex())
            key = keys.validator_key(create=True)
            logger.info("validator address: %s", checksum_address(key.address))
            logger.info("node id: %s", node_id(network_key))
            bls_key = keys.bls_key(create=True) if self._rules.schedule.has_bls else None
            asyncio.run(self._serve(chain, SealingKeys(key, bls_key), node_id(network_key), archive))

    def _say_chain(self, genesis_hash: bytes) -> None:
        rules = self._rules
        logger.info(
            "chain: id=%d genesis=0x%s generation=%s engine=%s",
            rules.chain_id,
            genesis_hash.hex(),
            rules.generation.value,
            rules.engine,
        )

    @contextlib.contextmanager
    def _databases(self) -> Iterator[_core.Chain]:
        """Open both databases, and close them however the node ends."""
        with _core.Chain.open(self._config.data_dir) as chain:
            try:
                yield chain
            finally:
                logger.info("closing the databases")
                chain.close()
                logger.info("databases flushed and closed, locks released")

    async def _serve(self, chain: _core.Chain, keys: SealingKeys, identity: str, archive: NamedArchive | None) -> None:
        pool = self._pool(chain)
        sealing: Sealing | None = None
        try:
            async with self._doors(chain, pool, identity):
                try:
                    if archive is not None:
                        await asyncio.to_thread(self._restore, chain, archive)
                    sealing = await asyncio.to_thread(self._start_sealing, chain, keys, pool)
                    await self._until_stopped(sealing)
                finally:
                    if self._stop.is_set():
                        self._on_stopping()
            logger.info("gRPC and JSON-RPC closed")
        finally:
            # Nothing may still append when the databases are closed, whatever has ended the node.
            self._stop.set()
            if sealing is not None and sealing.sealer is not None:
                await asyncio.to_thread(sealing.sealer.join)
        if sealing is not None:
            self._end_consensus(sealing)

    @contextlib.asynccontextmanager
    async def _doors(self, chain: _core.Chain, pool: TransactionPool, identity: str) -> AsyncIterator[None]:
        """Open gRPC and JSON-RPC, and close both at once: none has to wait for the clients of the other."""
        config = self._config
        operator = OperatorServer(
            chain,
            self._rules.chain_id,
            self._heads,
            peer_address=f"{config.libp2p.multiaddress}/p2p/{identity}",
            export_delay_seconds=config.export_delay_seconds,
        )
        jsonrpc: JsonRpcServer | None = None
        try:
            port = await operator.start(str(config.grpc))
            logger.info("gRPC server listening on %s", Address(config.grpc.host, port))
            _warn_if_open("gRPC", config.grpc)
            jsonrpc = JsonRpcServer(
                self._backend(chain, pool), config.jsonrpc.host, config.jsonrpc.port, Limits(stop_seconds=GRACE_SECONDS)
            )
            _warn_if_open("JSON-RPC", config.jsonrpc)
            await jsonrpc.start()
            yield
        finally:
            closing = [operator.stop(GRACE_SECONDS)]
            if jsonrpc is not None:
                closing.append(jsonrpc.stop())
            for failure in await asyncio.gather(*closing, return_exceptions=True):
                if isinstance(failure, Exception):
                    logger.error("a server did not close in order", exc_info=failure)

    def _end_consensus(self, sealing: Sealing) -> None:
        """Write the consensus files, and raise what ended sealing before its time, if anything did."""
        error = sealing.error
        try:
            save_validators(self._directory.consensus, sealing.engine)
        except (PolygonEdgeError, OSError) as failure:
            if error is None:
                raise
            # The files are made anew from the headers; what ended sealing is what the operator must hear of.
            logger.warning("the validators are not saved: %s", failure)
        else:
            logger.info("consensus stopped: validators saved at block %d", sealing.engine.last_block)
        if error is not None:
            raise error

    async def _until_stopped(self, sealing: Sealing) -> None:
        while not self._stop.is_set() and sealing.error is None:
            await asyncio.sleep(NOTICE_SECONDS)

    def _backend(self, chain: _core.Chain, pool: TransactionPool) -> Backend:
        settings = self._config.json_rpc
        return Backend(
            chain=chain,
            rules=self._rules,
            name=self._genesis.name,
            chain_id=self._rules.chain_id,
            version=self._version,
            pool=pool,
            sync_progress=lambda: self._sync,
            batch_limit=settings.batch_limit,
            block_range_limit=settings.block_range_limit,
            allowed_origins=settings.allowed_origins,
            price_limit=self._config.pool.price_limit,
        )

    def _pool(self, chain: _core.Chain) -> TransactionPool:
        limits = self._config.pool
        rules = core_rules(self._rules)

        def decode(raw: bytes) -> _core.Transaction:
            return _core.decode_transaction(rules, chain.tip[0] + 1, raw)

        def least_gas(transaction: _core.Transaction) -> int:
            number = chain.tip[0] + 1
            creates = transaction.to is None
            return intrinsic_gas(self._rules.forks, number, creates=creates, data=transaction.input)

        return TransactionPool(
            HeadState(chain, self._rules),
            decode,
            PoolLimits(limits.price_limit, limits.max_slots, limits.max_enqueued),
            frozenset(self._genesis.params.deployment_whitelist),
            intrinsic_gas=least_gas,
        )

    def _restore(self, chain: _core.Chain, archive: NamedArchive) -> None:
        """Import the archive before anything seals (§3.3); runs in a thread of its own."""
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(archive).read()
            head = chain.tip[0]
            missing = source.metadata.height - head
            shown = stack.enter_context(show_progress("restore", missing if missing > 0 else None))
            highest = source.metadata.height

            def show_sync(current: int) -> None:
                # An archive may hold more than it promises.
                self._sync = SyncProgress(starting=head + 1, current=current, highest=max(highest, current))

            if missing > 0:
                show_sync(head)
            reporter = RestoreReporter(shown, chain, self._heads, show_sync)
            strict = self._config.strict
            try:
                report = Restore(
                    source, self._directory, chain, self._genesis, self._stop, reporter, strict=strict
                ).run()
            finally:
                self._sync = None
        if report.blocks:
            logger.info("restored blocks %s to %s from %s", report.first, report.last, source.name)
        else:
            logger.info("nothing to restore: the data directory has the blocks of %s already", source.name)
        logger.info("head: number=%d hash=0x%s", report.head, report.head_hash.hex())

    def _may_seal(self) -> bool:
        """Whether the chain below is the whole of what was promised, or the operator has given the rest up."""
        if not self._directory.is_unfinished:
            return True
        if self._config.abandon_restore:
            logger.warning("the unfinished restore is abandoned: the chain goes on from the head that it has")
            self._directory.remove_mark()
            return True
        logger.warning(
            "not sealing: a restore into this directory has not finished (%s). Reads are answered. Start with "
            "--restore and the archive to finish it, or with --abandon-restore to go on from the head as it is",
            self._directory.mark,
        )
        return False

    def _start_sealing(self, chain: _core.Chain, keys: SealingKeys, pool: TransactionPool) -> Sealing:
        """Begin to seal, where that is allowed; in a thread, since a whole epoch of headers may have to be read."""
        engine = validators_at_head(chain, self._directory.consensus, self._genesis, self._rules)

        rules = core_rules(self._rules)

        def on_imported(imported: Imported) -> None:
            body = chain.body(imported.last)
            pool.on_block(_core.decode_body(body, rules, imported.last) if body else [])
            self._heads.publish(imported.last, imported.last_hash)

        appender = Appender(chain, rules, engine, stop=self._stop, source_name="own proposal", on_imported=on_imported)
        sealer = self._sealer(chain, engine, appender, keys, pool)
        if sealer is None:
            logger.info("not sealing: the engine %s makes no blocks; they come by restore only", self._rules.engine)
        elif self._may_seal():
            sealer.start()
        return Sealing(sealer, engine)

    def _sealer(
        self, chain: _core.Chain, engine: Engine, appender: Appender, keys: SealingKeys, pool: TransactionPool
    ) -> BlockThread | None:
        target = self._config.block_gas_target
        gas_target = self._genesis.params.block_gas_target if target is None else target
        if self._rules.engine == "dev":
            refuse_base_fees_without_divisors(self._genesis)
            return DevBlocks(
                chain,
                appender,
                pool,
                interval=self._rules.interval or DEV_INTERVAL_SECONDS,
                block_gas_target=gas_target,
                base_fees=self._rules.base_fees,
                stop=self._stop,
            )
        if not self._rules.has_validators:
            return None
        block_time = self._rules.block_time
        rules = SealingRules(
            # Later releases have the block time in the genesis file, not as a flag.
            self._config.block_time_seconds if block_time is None else block_time // NANOSECONDS,
            gas_target,
        )
        return Sealer(chain, engine, appender, keys.key, pool, bls_key=keys.bls_key, rules=rules, stop=self._stop)
