"""Each rule in which Edge differs from Ethereum is met by random programs: without it in the twin, a world differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from eth import constants, precompiles
from eth.vm.logic import arithmetic, comparison, context
from tests.oracle import edge_block, edge_instructions, edge_precompiles, edge_state
from tests.oracle.duel import DifferenceError, play
from tests.oracle.edge_instructions import EdgeCreate
from tests.oracle.edge_machine import EdgeComputation, machine
from tests.oracle.edge_state import BlockState
from tests.oracle.worlds import random_world

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 300
"""Worlds to try from the first one given, which does differ unless the generator was changed."""


def transaction_originals(state: BlockState) -> Any:
    """The original value of a slot is that of the start of the transaction."""
    logs = END_TRANSACTION(state)
    for address, account in state.written.items():
        if account is not None:
            state.written[address] = account._replace(original=account.storage)
    return logs


END_TRANSACTION = BlockState.end_transaction


def code_of_the_account(state: BlockState, address: bytes, **_: Any) -> bytes:
    account = state.find(address)
    return account.code if account else b""


def refund_above_zero(state: BlockState, gas: int) -> None:
    state.refund = max(0, state.refund + gas)


def pairing_in_the_group(base: int, each: int, computation: Any) -> Any:
    return precompiles.ecpairing(computation, gas_cost_base=base, gas_cost_per_point=each)


CREATE = EdgeCreate.__call__


def create_that_pays_first(instruction: Any, computation: Any) -> None:
    """The hash of the code is paid also where the balance is missing."""
    values = [edge_instructions._stack_item(computation, index) for index in range(3)]
    balance = computation.state.get_balance(computation.msg.storage_address)
    if instruction.is_create2 and balance < values[0]:
        computation.consume_gas((values[2] + 31) // 32 * 6, reason="hash")
    CREATE(instruction, computation)


def no_precompile(_: Any) -> None:
    """An account without code, but for the value."""


ETHEREUM: dict[str, tuple[object, str, Any, int]] = {
    "6.3 fees of generation 3": (edge_block, "_tip", lambda _rules, _call, price, _base_fee: price, 7),
    "6.6 depth": (constants, "STACK_DEPTH_LIMIT", 1023, 173),
    "6.7.1 original value": (BlockState, "end_transaction", transaction_originals, 2),
    "6.7.2 refund counter": (BlockState, "add_refund", refund_above_zero, 2),
    "6.7.3 code cache": (BlockState, "get_code", code_of_the_account, 0),
    "6.7.3 of 20 codes": (edge_state, "CACHED_CODES", 19, 10),
    "6.7.4 BYTE": (edge_instructions, "_byte", comparison.byte_op, 3),
    "6.7.5 SIGNEXTEND": (edge_instructions, "_sign_extend", arithmetic.signextend, 3),
    "6.7.6 offsets": (edge_instructions, "_copy", lambda copy, computation: copy(computation), 1),
    "6.7.7 RETURNDATACOPY": (
        *(edge_instructions, "_return_data_copy", lambda _rules, computation: context.returndatacopy(computation)),
        1,
    ),
    "6.7.8 CREATE2 without balance": (EdgeCreate, "__call__", create_that_pays_first, 2),
    "6.7.9 CREATE2 without gas for its code": (EdgeCreate, "_is_told", lambda _, child: child.is_success, 70),
    "6.7.10 second group": (edge_precompiles, "_pairing", pairing_in_the_group, 21),
    "6.7.12 empty accounts": (BlockState, "touch_account", lambda *_: None, 2),
    "6.7.13 refused deployment": (EdgeComputation, "_may_deploy", staticmethod(lambda *_: True), 19),
    "6.7.15 gas that wraps": (edge_instructions, "UINT64", 1 << 300, 1),
    "6.8 0x2020": (edge_precompiles, "_native_transfer", no_precompile, 1),
    "6.9 transactions lists": (EdgeComputation, "_may_transact", staticmethod(lambda *_: True), 13),
}


@pytest.fixture
def machines() -> Iterator[None]:
    """Machines are made anew, before with the changed rule and afterwards without it."""
    machine.cache_clear()
    yield
    machine.cache_clear()


@pytest.mark.usefixtures("machines")
@pytest.mark.parametrize("rule", ETHEREUM)
def test_a_twin_that_follows_ethereum_is_found_out(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, ethereum, first = ETHEREUM[rule]
    monkeypatch.setattr(where, name, ethereum)
    for seed in range(first, first + PATIENCE):
        try:
            play(random_world(str(seed)))
        except DifferenceError:
            return
    pytest.fail(f"no world from {first} to {first + PATIENCE} shows it")
