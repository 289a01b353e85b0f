"""py-evm's interpreter under the rules of Polygon Edge: the frames, and what the access lists say of them.

What this machine does not name is py-evm's own: arithmetic, memory, control flow, logs, most precompiles and prices.
What Edge has otherwise stands in `edge_instructions` and `edge_precompiles`, each with its section of the fact sheet.
Nothing here knows of transactions.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from eth.exceptions import OutOfGas, VMError
from eth.vm.computation import BaseComputation
from tests.oracle.edge_instructions import instructions
from tests.oracle.edge_precompiles import precompiled
from tests.oracle.edge_rules import (
    ADMIN,
    ENABLED,
    LISTS,
    READ_ROLE,
    SYSTEM_CALLER,
    UINT64,
    WRITTEN_ROLES,
    EdgeRules,
    InsufficientBalanceError,
    ListRefusalError,
    NotAuthorisedError,
    UnpaidCodeError,
    UnplayableError,
)
from tests.oracle.twin import Log

if TYPE_CHECKING:
    from eth.vm.message import Message
    from tests.oracle.edge_state import BlockState

CODE_SIZE_LIMIT = 24_576
ENDLESS_GAS, ENDLESS_STEPS, ENDLESS_MEMORY = 1 << 40, 100_000, 1 << 26


class EdgeComputation(BaseComputation):
    """A frame; subclasses by `machine` carry their rules, instructions and precompiles."""

    rules: EdgeRules
    state: BlockState
    called_code: bytes
    has_unpaid_code = False
    """Whether a creation went on without code because it could not pay for it, as before `homestead`."""

    def consume_gas(self, amount: int, reason: str) -> None:
        if self._gas_meter.start_gas >= ENDLESS_GAS:
            self.state.endless_steps += 1
            if self.state.endless_steps > ENDLESS_STEPS:
                raise UnplayableError
        self._gas_meter.consume_gas(amount, reason)

    def return_gas(self, amount: int) -> None:
        """In 64 bits, which wrap (§6.7.15)."""
        self._gas_meter.gas_remaining = (self._gas_meter.gas_remaining + amount) % UINT64

    def extend_memory(self, start_position: int, size: int) -> None:
        if size and start_position + size > ENDLESS_MEMORY and self._gas_meter.start_gas >= ENDLESS_GAS:
            raise UnplayableError
        super().extend_memory(start_position, size)

    def refund_gas(self, amount: int) -> None:
        self.state.add_refund(amount)

    def add_log_entry(self, account: bytes, topics: tuple[int, ...], data: bytes) -> None:
        self.state.add_log(Log(account, tuple(topic.to_bytes(32, "big") for topic in topics), data))

    @classmethod
    def apply_message(
        cls, state: Any, message: Message, transaction_context: Any, parent_computation: Any = None
    ) -> EdgeComputation:
        snapshot = state.snapshot()
        state.touch_account(message.storage_address)
        if message.should_transfer_value and not cls._transfer(state, message):
            # The touch stays (§6.7.14).
            return cls._failed(state, message, transaction_context, InsufficientBalanceError())
        computation = cls.apply_computation(state, message, transaction_context, parent_computation)
        if computation.is_error:
            state.revert(snapshot)
        return computation

    @classmethod
    def apply_create_message(
        cls, state: Any, message: Message, transaction_context: Any, parent_computation: Any = None
    ) -> EdgeComputation:
        """Create the account of `message`, whose creator has a new nonce already and which does not collide."""
        snapshot = state.snapshot()
        if "EIP158" in cls.rules:
            state.reset_account(message.storage_address)
            state.increment_nonce(message.storage_address)
        if not cls._transfer(state, message):
            # The account stays, with its nonce (§6.2).
            return cls._failed(state, message, transaction_context, InsufficientBalanceError())
        if not cls._may_deploy(state, message.sender):
            # Account and value stay (§6.7.13).
            return cls._failed(state, message, transaction_context, NotAuthorisedError())
        computation = cls.apply_computation(state, message, transaction_context, parent_computation)
        if computation.is_error:
            state.revert(snapshot)
            return computation
        code = computation.output
        if "EIP158" in cls.rules and len(code) > CODE_SIZE_LIMIT:
            computation.error = OutOfGas("code too large")
            state.revert(snapshot)
            return computation
        try:
            computation.consume_gas(200 * len(code), reason="code deposit")
        except OutOfGas:
            if "homestead" in cls.rules:
                computation.error = UnpaidCodeError()
                state.revert(snapshot)
            else:
                computation.output = b""
                computation.has_unpaid_code = True
        else:
            state.set_code(message.storage_address, code)
        return computation

    @classmethod
    def apply_computation(
        cls, state: Any, message: Message, transaction_context: Any, parent_computation: Any = None
    ) -> EdgeComputation:
        """Run a frame past the access lists, which come before precompiles and code (§6.9)."""
        if cls.rules.lists:
            if not message.is_create and message.code_address in {LISTS[name] for name in cls.rules.lists}:
                computation = cls(state, message, transaction_context)
                with computation:
                    computation._run_list(message.code_address)
                return computation
            if not cls._may_transact(state, message.sender):
                return cls._failed(state, message, transaction_context, NotAuthorisedError())
        ran: EdgeComputation = super().apply_computation(state, message, transaction_context, parent_computation)
        return ran

    @classmethod
    def _failed(cls, state: BlockState, message: Message, transaction_context: Any, error: VMError) -> EdgeComputation:
        computation = cls(state, message, transaction_context)
        computation.error = error
        return computation

    @staticmethod
    def _transfer(state: BlockState, message: Message) -> bool:
        if not state.subtract_balance(message.sender, message.value):
            return False
        state.add_balance(message.storage_address, message.value)
        return True

    # Access lists (§6.9)

    @classmethod
    def _is_let(cls, state: BlockState, kind: str, address: bytes) -> bool:
        who = int.from_bytes(address, "big")
        if kind == "transactions" and address == SYSTEM_CALLER:
            return True
        if f"{kind}-allow" in cls.rules.lists:
            return state.get_storage(LISTS[f"{kind}-allow"], who) in (ENABLED, ADMIN)
        if f"{kind}-block" in cls.rules.lists:
            return state.get_storage(LISTS[f"{kind}-block"], who) != ENABLED
        return True

    @classmethod
    def _may_transact(cls, state: BlockState, caller: bytes) -> bool:
        return cls._is_let(state, "transactions", caller)

    @classmethod
    def _may_deploy(cls, state: BlockState, creator: bytes) -> bool:
        return cls._is_let(state, "deployer", creator)

    def _run_list(self, address: bytes) -> None:
        data = self.msg.data_as_bytes
        function, argument = data[:4], data[4:]
        if len(argument) != 32 or (function != READ_ROLE and function not in WRITTEN_ROLES):
            raise ListRefusalError
        who = int.from_bytes(argument[12:], "big")
        gas = 5_000 if function == READ_ROLE else 20_000
        if self.get_gas_remaining() < gas:
            raise ListRefusalError
        self.consume_gas(gas, reason="access list")
        if function == READ_ROLE:
            self.output = self.state.get_storage(address, who).to_bytes(32, "big")
            return
        caller = int.from_bytes(self.msg.sender, "big")
        if self.msg.is_static or self.state.get_storage(address, caller) != ADMIN or who == caller:
            raise ListRefusalError
        self.state.set_storage(address, who, WRITTEN_ROLES[function])


@cache
def machine(rules: EdgeRules) -> type[EdgeComputation]:
    """The class of frames under `rules`."""
    attributes = {"rules": rules, "opcodes": instructions(rules), "_precompiles": precompiled(rules)}
    return type(EdgeComputation.__name__, (EdgeComputation,), attributes)
