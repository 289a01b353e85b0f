"""A world of random programs, played by the core and by its twin, and the least of it on which they differ.

The core proposes each block, seals it and imports it; the twin says what must come out: which transactions are in, each
receipt, gas, the roots, and what each message returns.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import rlp
from eth_hash.auto import keccak
from tests.oracle.chain import GAS_LIMIT, genesis_of
from tests.oracle.edge_block import Call, Outcome, RefusedError, execute
from tests.oracle.edge_chain import EdgeChain, genesis_account, plain_root
from tests.oracle.edge_rules import EdgeRules, UnplayableError
from tests.oracle.edge_state import BlockContext
from tests.oracle.twin import encode, integer, signature
from tests.oracle.worlds import BURN_CONTRACT, CHAIN_ID, SEALER, SENDERS, World

from polygon_edge import _core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STATE_ROOT, RECEIPTS_ROOT, GAS_USED = 3, 5, 10


class DifferenceError(AssertionError):
    """Core and twin do not agree."""

    def __init__(self, world: World, where: str, expected: object, found: object) -> None:
        self.world, self.where, self.expected, self.found = world, where, expected, found
        super().__init__(f"{where}: the twin says {expected}, the core {found}\n{world}")


@dataclass
class Tally:
    """How much was played."""

    worlds: int = 0
    programs: int = 0
    transactions: int = 0
    succeeded: int = 0
    messages: int = 0
    unplayable: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    def told(self, seconds: float) -> str:
        """The figures of a run, in a line."""
        failures = ", ".join(f"{count} {name}" for name, count in sorted(self.failures.items()))
        return (
            f"{self.programs} programs in {self.worlds} worlds: {self.transactions} transactions, {self.succeeded} "
            f"succeeded ({failures}), {self.messages} messages, {self.unplayable} left out; "
            f"{self.programs / seconds:.0f} programs a second"
        )

    def count(self, outcome: Outcome) -> None:
        self.transactions += 1
        if outcome.error is None:
            self.succeeded += 1
        else:
            self.failures[outcome.error] = self.failures.get(outcome.error, 0) + 1


# The core's side


def raw_transaction(rules: EdgeRules, call: Call) -> bytes:
    """The signed transaction (§2.4, §2.5)."""
    key, to = SENDERS[call.sender], call.to or b""
    if call.is_dynamic:
        fields: list[Any] = [
            *map(integer, (CHAIN_ID, call.nonce, call.tip or 0, call.cap or 0, call.gas)),
            *(to, integer(call.value), call.input, []),
        ]
        r, s, parity = signature(key, keccak(b"\x02" + encode(fields)))
        return b"\x02" + encode([*fields, *map(integer, (parity, r, s))])
    fields = [*map(integer, (call.nonce, call.gas_price, call.gas)), to, integer(call.value), call.input]
    is_protected = "EIP155" in rules
    signed = [*fields, integer(CHAIN_ID), b"", b""] if is_protected else fields
    r, s, parity = signature(key, keccak(encode(signed)))
    v = parity + (35 + 2 * CHAIN_ID if is_protected else 27)
    return encode([*fields, *map(integer, (v, r, s))])


class CoreChain:
    """The chain of a world in the core, in a folder of its own."""

    def __init__(self, world: World, chain: _core.Chain) -> None:
        self.chain = chain
        self.rules = _core.Rules(
            world.rules.generation,
            CHAIN_ID,
            dict.fromkeys(sorted(world.rules.flags), 0),
            0,
            burn_contracts=[(0, BURN_CONTRACT)] if "london" in world.rules else [],
            access_lists=sorted(world.rules.lists),
        )
        alloc = [
            (
                address,
                integer(account.balance),
                account.nonce,
                account.code,
                [(slot.to_bytes(32, "big"), value.to_bytes(32, "big")) for slot, value in account.storage.items()],
            )
            for address, account in world.accounts.items()
        ]
        rest: list[Any] = [] if world.rules.generation == "G1" else [[], b""]
        extra = bytes(32) + encode([[SEALER.address], b"", [], *rest])
        chain.start(self.rules, genesis_of(self.rules, alloc, extra))

    def propose(self, context: BlockContext, calls: Sequence[bytes]) -> _core.Proposal:
        return self.chain.propose(
            coinbase=context.coinbase,
            timestamp=context.timestamp,
            gas_limit=context.gas_limit,
            validators=[SEALER.address],
            candidates=[_core.decode_transaction(self.rules, context.number, raw) for raw in calls],
        )

    def append(self, proposal: _core.Proposal) -> bytes:
        """Seal and import the block the ordinary way; returns its record."""
        seals = [SEALER.sign(proposal.committed_digest(0))]
        record = proposal.record(SEALER.sign(_core.proposer_digest(proposal.hash)), seals, 0)
        run = _core.prepare(self.rules, [record])
        held, violation = run.verify(
            self.rules, 0, self.chain.tip, [(proposal.number - 1, [SEALER.address])], self.chain.tip_round
        )
        assert violation is None, (violation.rule, violation.what, violation.expected, violation.found)
        executed = self.chain.execute(run, 0, held)
        violation = executed.violation
        assert violation is None, (violation.rule, violation.what, violation.expected, violation.found)
        self.chain.commit(executed)
        return record


# The duel


class Duel:
    """One world played to its end; raises DifferenceError where the two part."""

    def __init__(self, world: World, core: _core.Chain, tally: Tally) -> None:
        self.world = world
        self.tally = tally
        burn = BURN_CONTRACT if "london" in world.rules and world.rules.generation == "G3" else None
        self.twin = EdgeChain(world.rules, world.accounts, burn)
        self.core = CoreChain(world, core)

    def _same(self, where: str, expected: object, found: object) -> None:
        if expected != found:
            raise DifferenceError(self.world, where, expected, found)

    def play(self) -> None:
        self._same("state root of block 0", self.twin.state_root.hex(), self.core.chain.state_root.hex())
        for calls in self.world.blocks:
            self._play_block(calls)
        for call in self.world.messages:
            self._ask(call)

    def _context(self, number: int) -> BlockContext:
        return BlockContext(
            number=number,
            timestamp=1_700_000_000 + number,
            coinbase=SEALER.address,
            gas_limit=GAS_LIMIT,
            chain_id=CHAIN_ID,
            ancestors=self.twin.ancestors,
        )

    def _play_block(self, calls: Sequence[Call]) -> None:
        parent, parent_hash, _ = self.core.chain.tip
        self.twin.ancestors[parent] = parent_hash
        context = self._context(parent + 1)
        raws, fates, included = self._expect(context, calls)
        proposal = self.core.propose(context, raws)
        self._same(
            f"block {context.number}, what is included",
            fates,
            [fate == "included" for fate in proposal.outcomes],
        )
        record = self.core.append(proposal)
        number = context.number
        self._compare_receipts(number, included)
        header = rlp.decode(record)[0]
        total, receipts = 0, []
        for outcome in included:
            total += outcome.gas_used
            receipts.append(outcome.receipt(total))
        self._same(f"block {number}, gas used", total, int.from_bytes(header[GAS_USED], "big"))
        root = plain_root({encode(integer(index)): receipt for index, receipt in enumerate(receipts)})
        self._same(f"block {number}, receipts root", root.hex(), header[RECEIPTS_ROOT].hex())
        state_root = self.twin.state_root
        if header[STATE_ROOT] != state_root:
            self._compare_accounts(number)
            self._same(f"block {number}, state root", state_root.hex(), header[STATE_ROOT].hex())

    def _expect(self, context: BlockContext, calls: Sequence[Call]) -> tuple[list[bytes], list[bool], list[Outcome]]:
        """The twin's block: signed transactions, whether each is included, and the outcomes of those that are."""
        state = self.twin.begin(context)
        raws, fates, included, failed = list[bytes](), list[bool](), list[Outcome](), set[bytes]()
        for call in calls:
            wrong_nonce = call.nonce
            nonce = state.get_nonce(call.sender) + wrong_nonce
            if nonce < 0:
                continue
            right = replace(call, nonce=nonce)
            before = state.snapshot()
            try:
                if call.sender in failed:
                    raise RefusedError("its sender had failed")
                outcome = execute(self.world.rules, state, right, self.twin.burn_contract)
            except UnplayableError:
                state.revert(before)
                self.tally.unplayable += 1
                continue
            except RefusedError:
                if not wrong_nonce:
                    failed.add(call.sender)
                fates.append(False)
            else:
                self.tally.count(outcome)
                included.append(outcome)
                fates.append(True)
            raws.append(raw_transaction(self.world.rules, right))
        self.twin.end(state)
        return raws, fates, included

    def _compare_receipts(self, number: int, included: Sequence[Outcome]) -> None:
        stored = self.core.chain.receipts(number)
        found = _core.decode_receipts(stored) if stored else []
        self._same(f"block {number}, receipts", len(included), len(found))
        for index, (outcome, receipt) in enumerate(zip(included, found, strict=True)):
            self._same(
                f"block {number}, transaction {index} of the included",
                (
                    outcome.error is None,
                    outcome.gas_used,
                    [(log.address, log.topics, log.data) for log in outcome.logs],
                ),
                (
                    receipt.success,
                    receipt.gas_used,
                    [(log.address, tuple(log.topics), log.data) for log in receipt.logs],
                ),
            )

    def _compare_accounts(self, number: int) -> None:
        root = self.core.chain.state_root
        self._same(f"block {number}, accounts", len(self.twin.accounts), self.core.chain.count_accounts(root))
        for address, account in sorted(self.twin.accounts.items()):
            where = f"block {number}, account 0x{address.hex()}"
            found = self.core.chain.account(root, address)
            self._same(where, (account.nonce, account.balance, account.code_hash), found and (*found[:2], found[3]))
            for slot, value in account.storage.items():
                stored = self.core.chain.storage(root, address, slot.to_bytes(32, "big"))
                self._same(f"{where}, slot {slot:#x}", hex(value), hex(int.from_bytes(stored, "big")))
            self._same(f"{where}, slots", len(account.storage), self.core.chain.count_slots(root, address))

    def _ask(self, call: Call) -> None:
        """A message on the state at the end, in the context of the last block."""
        number = self.core.chain.tip[0]
        state = self.twin.begin(self._context(number))
        right = replace(call, nonce=state.get_nonce(call.sender))
        try:
            outcome: Outcome | None = execute(self.world.rules, state, right, self.twin.burn_contract)
        except UnplayableError:
            self.tally.unplayable += 1
            return
        except RefusedError:
            outcome = None
        self.tally.messages += 1
        expected = outcome and (_kind(outcome.error), outcome.output, outcome.gas_used)
        self._same(f"message to 0x{(call.to or b'').hex()}", expected, self._answer(number, call))

    def _answer(self, number: int, call: Call) -> tuple[str, bytes, int] | None:
        try:
            found = self.core.chain.call(
                number,
                sender=call.sender,
                to=call.to,
                value=call.value,
                input=call.input,
                gas=call.gas,
                gas_price=call.gas_price,
            )
        except _core.CallRefusedError:
            return None
        kind = found.status if found.status in ("success", "revert") else "failure"
        return kind, found.output, found.gas_used


def _kind(error: str | None) -> str:
    return {None: "success", "Revert": "revert"}.get(error, "failure")


def play(world: World, tally: Tally | None = None) -> None:
    """Play `world` on both; raises DifferenceError."""
    tally = Tally() if tally is None else tally
    with tempfile.TemporaryDirectory() as folder, _core.Chain.open(folder) as chain:
        Duel(world, chain, tally).play()
    tally.worlds += 1
    tally.programs += world.programs


# The least world


def _differs(world: World) -> DifferenceError | None:
    try:
        play(world)
    except DifferenceError as difference:
        return difference
    return None


def least(difference: DifferenceError) -> DifferenceError:
    """Take away transactions, accounts and code as long as the two still differ; code is blanked with JUMPDEST."""
    changed = True
    while changed:
        changed = False
        for smaller in _smaller(difference.world):
            found = _differs(smaller)
            if found is not None:
                difference, changed = found, True
                break
    return difference


def _smaller(world: World) -> Iterator[World]:
    if world.messages and any(world.blocks):
        yield replace(world, messages=())
    for index in range(len(world.messages)):
        yield replace(world, messages=[call for at, call in enumerate(world.messages) if at != index])
    for index, calls in enumerate(world.blocks):
        rest = [other for at, other in enumerate(world.blocks) if at != index]
        yield replace(world, blocks=rest)
        for at in range(len(calls)):
            yield replace(
                world, blocks=[*world.blocks[:index], [*calls[:at], *calls[at + 1 :]], *world.blocks[index + 1 :]]
            )
    for address in world.accounts:
        if address not in SENDERS:
            yield replace(world, accounts={other: it for other, it in world.accounts.items() if other != address})
    for address, account in world.accounts.items():
        for code in _blanked(account.code):
            changed = genesis_account(account.balance, account.nonce, code, account.storage)
            yield replace(world, accounts={**world.accounts, address: changed})


def _blanked(code: bytes) -> Iterator[bytes]:
    size = len(code)
    while size:
        for start in range(0, len(code), size):
            blank = code[:start] + b"\x5b" * len(code[start : start + size]) + code[start + size :]
            if blank != code:
                yield blank
        size //= 2
