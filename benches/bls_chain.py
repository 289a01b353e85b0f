"""Makes a chain of BLS validators and measures its restore: the core's steps, the whole command, the Go client's.

    python benches/bls_chain.py [--blocks 10000] [--validators 4] [--own-seals] [--go BINARY]

`--own-seals` gives the parent seals of each block by other validators than the committed seals of the block before, as
in a network in which each node collects its own: then two aggregates of each block have to be verified instead of one.
Processor seconds stand beside those of the clock: on a machine that is not idle they say more.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import rlp

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.interop.go_node import GoNode  # noqa: E402
from tests.program import COMMAND  # noqa: E402

from polygon_edge import _core  # noqa: E402
from polygon_edge.archive.flat import Metadata, encode_metadata  # noqa: E402

GO_SECONDS = 3600
FORKS = ("homestead", "EIP150", "EIP155", "EIP158", "byzantium", "constantinople", "petersburg", "istanbul")
GAS_LIMIT = 8_000_000
CHAIN_ID = 77
RUN = 500
EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
EMPTY_UNCLES = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
ISTANBUL = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")


class Network:
    """Validators with both keys, and the chain that they seal, without transactions."""

    def __init__(self, count: int) -> None:
        secrets = [bytes([index + 1]) * 32 for index in range(count)]
        self.keys = [(_core.EcdsaKey(secret), _core.BlsKey(secret)) for secret in secrets]
        self.validators = [[ecdsa.address, bls.public_key] for ecdsa, bls in self.keys]
        self.extra = bytes(32) + rlp.encode([self.validators, b"", [b"", b""]])
        self.rules = _core.Rules("G1", CHAIN_ID, dict.fromkeys(FORKS, 0), 0, validator_types=[(0, "bls")])
        self.genesis = _core.Genesis(
            self.rules,
            [],
            nonce=0,
            timestamp=0,
            extra_data=self.extra,
            gas_limit=GAS_LIMIT,
            difficulty=1,
            mix_hash=bytes(32),
            coinbase=bytes(20),
            number=0,
            gas_used=0,
            parent_hash=bytes(32),
        )
        # The builder of aggregates belongs to a proposal; an empty chain's first one serves for all.
        self._folder = tempfile.TemporaryDirectory()
        chain = _core.Chain.open(Path(self._folder.name) / "chain")
        chain.start(self.rules, self.genesis)
        self._proposal = chain.propose(
            coinbase=bytes(20), timestamp=1, gas_limit=GAS_LIMIT, validators=self.set, candidates=[]
        )
        chain.close()

    @property
    def set(self) -> list[bytes]:
        return [b"".join(validator) for validator in self.validators]

    def aggregate(self, block_hash: bytes, signing: range) -> list[bytes]:
        digest = _core.committed_digest(block_hash)
        seals = {}
        for index in signing:
            ecdsa, bls = self.keys[index % len(self.keys)]
            seals[ecdsa.address] = bls.sign(digest)
        return self._proposal.aggregate(seals)

    def records(self, count: int, *, own_seals: bool) -> list[bytes]:
        quorum = -(-2 * len(self.keys) // 3)
        parent, parent_seals, records = self.genesis.hash, None, []
        for number in range(1, count + 1):
            tail: list[Any] = [] if parent_seals is None else [parent_seals]
            fields: list[Any] = [parent, EMPTY_UNCLES, bytes(20), EMPTY_ROOT, EMPTY_ROOT, EMPTY_ROOT, bytes(256)]
            fields += [number, number, GAS_LIMIT, b"", number]
            filtered = bytes(32) + rlp.encode([self.validators, b"", [b"", b""], *tail])
            block_hash = _core.keccak256(rlp.encode([*fields, filtered]))
            proposer = self.keys[number % len(self.keys)][0].sign(_core.proposer_digest(block_hash))
            committed = self.aggregate(block_hash, range(quorum))
            extra = bytes(32) + rlp.encode([self.validators, proposer, committed, *tail])
            records.append(rlp.encode([[*fields, extra, ISTANBUL, bytes(8)], [], []]))
            parent_seals = self.aggregate(block_hash, range(1, quorum + 1)) if own_seals else committed
            parent = block_hash
        self.head = parent
        return records

    def genesis_file(self) -> dict[str, object]:
        return {
            "name": "bls",
            "genesis": {
                "nonce": "0x0000000000000000",
                "timestamp": "0x0",
                "extraData": "0x" + self.extra.hex(),
                "gasLimit": hex(GAS_LIMIT),
                "difficulty": "0x1",
                "mixHash": "0x" + bytes(32).hex(),
                "coinbase": "0x" + bytes(20).hex(),
                "alloc": {},
                "number": "0x0",
                "gasUsed": "0x0",
                "parentHash": "0x" + bytes(32).hex(),
            },
            "params": {
                "forks": dict.fromkeys(FORKS, 0),
                "chainID": CHAIN_ID,
                "engine": {"ibft": {"epochSize": 100_000, "type": "PoA", "validator_type": "bls"}},
                "blockGasTarget": 0,
            },
            "bootnodes": [],
        }


def restore_by_core(network: Network, records: list[bytes]) -> dict[str, float]:
    """Seconds of each step, one after the other, in an empty data directory."""
    spent = dict.fromkeys(("prepare", "verify", "execute", "commit"), 0.0)
    with tempfile.TemporaryDirectory() as folder, _core.Chain.open(folder) as chain:
        chain.start(network.rules, network.genesis)
        previous = None
        for start in range(0, len(records), RUN):
            marks = [time.perf_counter()]
            run = _core.prepare(network.rules, records[start : start + RUN], previous)
            marks.append(time.perf_counter())
            held, violation = run.verify(network.rules, 0, chain.tip, [(0, network.set)], chain.tip_round)
            if violation is not None:
                raise SystemExit(f"{violation.rule}: {violation.what}")
            marks.append(time.perf_counter())
            executed = chain.execute(run, 0, held)
            marks.append(time.perf_counter())
            chain.commit(executed)
            marks.append(time.perf_counter())
            for step, before, after in zip(spent, marks, marks[1:], strict=False):
                spent[step] += after - before
            previous = run
        if chain.head != (len(records), network.head):
            raise SystemExit("another head")
    return spent


def processor_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def restore_by_command(folder: Path) -> tuple[float, float]:
    """Seconds of our whole command, from its start to its end, and its processor seconds."""
    words = [*COMMAND, "restore", folder / "archive", "--data-dir", folder / "ours"]
    before, started = processor_seconds_of_children(), time.perf_counter()
    done = subprocess.run(
        [*map(str, words), "--chain", str(folder / "genesis.json")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started, processor_seconds_of_children() - before


def restore_by_go(binary: Path, folder: Path, blocks: int) -> tuple[float, float]:
    """Seconds from the start of the Go client until it has the head, and its processor seconds."""
    before, started = processor_seconds_of_children(), time.perf_counter()
    with GoNode(binary, folder / "go", folder / "genesis.json", folder / "log", folder / "archive") as node:
        node.wait_for_height(blocks, GO_SECONDS, interval_seconds=0.05)
        seconds = time.perf_counter() - started
    return seconds, processor_seconds_of_children() - before


def main() -> None:
    """Parse the flags and run what they ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--blocks", type=int, default=10_000)
    parser.add_argument("--validators", type=int, default=4)
    parser.add_argument("--own-seals", action="store_true", help="parent seals by other validators than committed ones")
    parser.add_argument("--go", type=Path, metavar="BINARY", help="a Go client v0.6.3 to measure in the same run")
    arguments = parser.parse_args()
    network = Network(arguments.validators)
    records = network.records(arguments.blocks, own_seals=arguments.own_seals)
    spent = restore_by_core(network, records)
    steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in spent.items())
    print(f"core: {sum(spent.values()):7.2f} s ({steps})")
    with tempfile.TemporaryDirectory(prefix="polygon-edge-bench-") as name:
        folder = Path(name)
        (folder / "genesis.json").write_text(json.dumps(network.genesis_file()))
        metadata = encode_metadata(Metadata(len(records), network.head))
        (folder / "archive").write_bytes(metadata + b"".join(records))
        ours, our_processor = restore_by_command(folder)
        print(
            f"ours: {ours:7.2f} s, {arguments.blocks / ours:6.0f} blocks/s, {our_processor:7.2f} processor s",
            flush=True,
        )
        if arguments.go:
            theirs, processor = restore_by_go(arguments.go, folder, arguments.blocks)
            print(
                f"Go:   {theirs:7.2f} s, {arguments.blocks / theirs:6.0f} blocks/s, {processor:7.2f} processor s; "
                f"{theirs / ours:.1f} times as long, {processor / our_processor:.1f} times the processor"
            )


if __name__ == "__main__":
    main()
