"""py-evm's interpreter under the rules of Polygon Edge: the adjustments, each with its section of the fact sheet.

What is not named here is py-evm's own: arithmetic, memory, control flow, logs, frames, precompiles and their prices. This
module chooses among its instructions by Edge's flags, which are independent of each other (§6.5), and replaces those that
Edge has otherwise (§6.7 to §6.9). It knows nothing of transactions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from eth import precompiles
from eth._utils.address import force_bytes_to_address, generate_contract_address, generate_safe_contract_address
from eth._utils.bn128 import validate_point
from eth.exceptions import Halt, OutOfGas, VMError, WriteProtection
from eth.vm import mnemonics, opcode_values
from eth.vm.computation import BaseComputation
from eth.vm.forks.byzantium.opcodes import BYZANTIUM_OPCODES
from eth.vm.forks.constantinople.opcodes import CONSTANTINOPLE_OPCODES
from eth.vm.forks.constantinople.storage import sstore_eip1283
from eth.vm.forks.frontier.opcodes import FRONTIER_OPCODES
from eth.vm.forks.istanbul.opcodes import ISTANBUL_OPCODES
from eth.vm.forks.istanbul.storage import sstore_eip2200
from eth.vm.logic import arithmetic, block, comparison, context, storage
from eth.vm.logic.call import Call, CallCode, DelegateCall, StaticCall, compute_eip150_msg_gas
from eth.vm.logic.system import Create, max_child_gas_eip150
from eth.vm.opcode import as_opcode
from py_ecc import optimized_bn128 as bn128
from tests.oracle.edge_state import BlockState, NonceOverflowError
from tests.oracle.twin import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from eth.vm.message import Message

DEPTH_LIMIT = 1024
"""The depth of the deepest frame, the transaction's own being 0: 1,025 frames (§6.6)."""
CODE_SIZE_LIMIT = 24_576
UINT64 = 1 << 64
ENDLESS_GAS, ENDLESS_STEPS, ENDLESS_MEMORY = 1 << 40, 100_000, 1 << 26

NATIVE_TRANSFER = (0x2020).to_bytes(20, "big")
AGGREGATE_CHECK = (0x2030).to_bytes(20, "big")
SYSTEM_CALLER = bytes.fromhex("fffffffffffffffffffffffffffffffffffffffe")
NATIVE_TOKEN = (0x1010).to_bytes(20, "big")

LISTS = {
    "deployer-allow": bytes.fromhex("0200000000000000000000000000000000000000"),
    "deployer-block": bytes.fromhex("0300000000000000000000000000000000000000"),
    "transactions-allow": bytes.fromhex("0200000000000000000000000000000000000002"),
    "transactions-block": bytes.fromhex("0300000000000000000000000000000000000002"),
    "bridge-allow": bytes.fromhex("0200000000000000000000000000000000000004"),
    "bridge-block": bytes.fromhex("0300000000000000000000000000000000000004"),
}
ENABLED, ADMIN = 1, 2
READ_ROLE = bytes.fromhex("d78bca69")
WRITTEN_ROLES = {bytes.fromhex("704b6c02"): ADMIN, bytes.fromhex("0aaf7043"): ENABLED, bytes.fromhex("8c6bfb3b"): 0}


@dataclass(frozen=True)
class EdgeRules:
    """What a rule of execution depends on, at any height: the flags of `forks` and the access lists that exist."""

    generation: str
    flags: frozenset[str]
    chain_id: int = 100
    lists: frozenset[str] = field(default_factory=frozenset)

    def __contains__(self, flag: str) -> bool:
        return flag in self.flags


class UnplayableError(Exception):
    """A frame with gas near 2^64 (§6.7.15) does not come to its end soon, or wants memory without end."""


class NotAuthorisedError(VMError):
    """An access list refuses the frame, which loses its gas (§6.9)."""


class InsufficientBalanceError(VMError):
    """The top-level frame cannot send its value, in generation 3: the gas is kept (§6.2)."""

    burns_gas = False


class ListRefusalError(VMError):
    """A list contract refuses: the gas that it did not use is kept (§6.9)."""

    burns_gas = False


class UnpaidCodeError(OutOfGas):
    """A creation that cannot pay for its code."""


@dataclass(frozen=True)
class TransactionContext:
    """What instructions see of the transaction."""

    origin: bytes
    gas_price: int


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
            for name in sorted(cls.rules.lists):
                if not message.is_create and message.code_address == LISTS[name]:
                    with cls(state, message, transaction_context) as computation:
                        computation._run_list(LISTS[name])
                    return computation
            if not cls._may_transact(state, message.sender):
                return cls._failed(state, message, transaction_context, NotAuthorisedError())
        ran: EdgeComputation = super().apply_computation(state, message, transaction_context, parent_computation)
        return ran

    @classmethod
    def _failed(cls, state: BlockState, message: Message, transaction_context: Any, error: VMError) -> EdgeComputation:
        with cls(state, message, transaction_context) as computation:
            raise error
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


def _configured(base: type, **attributes: Any) -> Any:
    return type(base.__name__, (base,), attributes)


# Calls


class _EdgeCall:
    """What the four calls have in common; stands before one of py-evm's classes."""

    mnemonic: str
    gas_cost: int
    rules: EdgeRules
    sends_value = False

    def get_call_params(self, computation: EdgeComputation) -> Any:
        parameters = super().get_call_params(computation)  # type: ignore[misc]
        value, output_offset = parameters[1], parameters[7]
        if self.mnemonic == mnemonics.CALL and computation.msg.is_static and value:
            raise WriteProtection
        if output_offset >= UINT64:
            # §6.7.6; py-evm looks at it only where a length is given.
            raise OutOfGas
        return parameters

    def get_code_at_address(self, computation: EdgeComputation, code_source: bytes) -> tuple[bytes, None]:
        computation.called_code = code_source
        return computation.state.get_code(code_source, remember=False), None

    def compute_msg_gas(self, computation: EdgeComputation, gas: int, to: bytes, value: int) -> tuple[int, int]:
        state, sends = computation.state, bool(value and self.sends_value)
        extra = 9_000 if sends else 0
        if self.mnemonic == mnemonics.CALL:
            if "EIP158" in self.rules:
                is_new = sends and state.account_is_empty(to)
            else:
                is_new = not state.account_exists(to)
            extra += 25_000 if is_new else 0
        if "EIP150" in self.rules:
            message_gas, fee = compute_eip150_msg_gas(
                computation=computation,
                gas=gas,
                extra_gas=extra,
                value=int(sends),
                mnemonic=self.mnemonic,
                callstipend=2_300,
            )
        else:
            message_gas, fee = gas + (2_300 if sends else 0), gas + extra
            if gas < UINT64 <= gas + extra + self.gas_cost and self.rules.generation != "G3":
                # §6.7.15: granted for almost nothing, which is less than what was taken for the instruction.
                message_gas, fee = message_gas % UINT64, fee - UINT64
                if fee < 0:
                    computation.return_gas(-fee)
                    fee = 0
        if fee <= computation.get_gas_remaining():
            # Only a call that is paid for looks at the code and moves it up in the cache (§6.7.3).
            state.get_code(computation.called_code)
        return message_gas, fee


class EdgeCall(_EdgeCall, Call):
    """CALL"""

    sends_value = True


class EdgeCallCode(_EdgeCall, CallCode):
    """CALLCODE"""

    sends_value = True


class EdgeDelegateCall(_EdgeCall, DelegateCall):
    """DELEGATECALL"""


class EdgeStaticCall(_EdgeCall, StaticCall):
    """STATICCALL"""


class EdgeCreate(Create):
    """CREATE and CREATE2: the balance is looked at before the hash is paid (§6.7.8)."""

    rules: EdgeRules
    is_create2 = False

    def __call__(self, computation: EdgeComputation) -> None:
        if computation.msg.is_static:
            raise WriteProtection
        computation.consume_gas(self.gas_cost, reason=self.mnemonic)
        value, offset, length, *salt = computation.stack_pop_ints(4 if self.is_create2 else 3)
        computation.extend_memory(offset, length)
        computation.return_data = b""
        state, creator = computation.state, computation.msg.storage_address
        if state.get_balance(creator) < value:
            computation.stack_push_int(0)
            return
        if self.is_create2:
            computation.consume_gas((length + 31) // 32 * 6, reason="hash of the code")
        if computation.msg.depth + 1 > DEPTH_LIMIT:
            computation.stack_push_int(0)
            return
        code = computation.memory_read_bytes(offset, length)
        gas = computation.get_gas_remaining()
        if "EIP150" in self.rules or self.is_create2:
            gas = max_child_gas_eip150(gas)
        computation.consume_gas(gas, reason=self.mnemonic)
        nonce = state.get_nonce(creator)
        if self.is_create2:
            address = generate_safe_contract_address(creator, salt[0], code)
        else:
            address = generate_contract_address(creator, nonce)
        try:
            state.increment_nonce(creator)
        except NonceOverflowError:
            computation.stack_push_int(0)
            return
        if state.has_code_or_nonce(address):
            computation.stack_push_int(0)
            return
        child = computation.apply_child_computation(
            computation.prepare_child_message(
                gas=gas, to=b"", value=value, data=b"", code=code, create_address=address
            )
        )
        computation.return_gas(child.get_gas_remaining())
        if child.is_success and not (child.has_unpaid_code and self.is_create2 and self.rules.generation == "G3"):
            computation.stack_push_bytes(address)
        elif self.is_create2 and isinstance(child._error, UnpaidCodeError) and self.rules.generation != "G3":
            # §6.7.9: the address that was taken back.
            computation.stack_push_bytes(address)
        else:
            computation.stack_push_int(0)


# Other instructions


def _never_static(write: Callable[[Any], Any], computation: EdgeComputation) -> None:
    if computation.msg.is_static:
        raise WriteProtection
    write(computation)


def _self_destruct(rules: EdgeRules, computation: EdgeComputation) -> None:
    """The gas by §6.5; the refund at once (§6.7, end)."""
    if computation.msg.is_static:
        raise WriteProtection
    state, address = computation.state, computation.msg.storage_address
    beneficiary = force_bytes_to_address(computation.stack_pop1_bytes())
    if "EIP150" in rules:
        if "EIP158" in rules:
            is_new = state.account_is_empty(beneficiary) and state.get_balance(address) > 0
        else:
            is_new = not state.account_exists(beneficiary)
        computation.consume_gas(5_000 + (25_000 if is_new else 0), reason=mnemonics.SELFDESTRUCT)
    state.destroy(address, beneficiary)
    raise Halt("SELFDESTRUCT")


def _byte(computation: EdgeComputation) -> None:
    """The index is its low 64 bits, with a sign (§6.7.4)."""
    index, value = computation.stack_pop_ints(2)
    index %= UINT64
    if index >= 1 << 63:
        index -= UINT64
    shift = (31 - index) * 8 % UINT64
    computation.stack_push_int(0 if index > 31 or shift > 255 else value >> shift & 255)


def _sign_extend(computation: EdgeComputation) -> None:
    """One item is enough, and is dropped (§6.7.5)."""
    if len(computation._stack.values) == 1:
        computation.stack_pop1_int()
        return
    arithmetic.signextend(computation)


def _stack_item(computation: EdgeComputation, index: int) -> int:
    values = computation._stack.values
    if len(values) <= index:
        return 0  # the instruction itself finds that out
    item = values[-1 - index]
    return item if isinstance(item, int) else int.from_bytes(item, "big")


def _copy_with_checked_offset(copy: Callable[[Any], Any], index: int, computation: EdgeComputation) -> None:
    """A memory offset of 2^64 fails, whatever the length (§6.7.6); `index` says where on the stack it is."""
    if _stack_item(computation, index) >= UINT64:
        raise OutOfGas
    copy(computation)


def _ext_code_copy(computation: EdgeComputation) -> None:
    """Paid for in full before the code is looked at, which moves it up in the cache (§6.7.3)."""
    address = _stack_item(computation, 0) % (1 << 160)
    offset, size = _stack_item(computation, 1), _stack_item(computation, 3)
    if offset >= UINT64:
        raise OutOfGas
    if len(computation._stack.values) >= 4:
        computation.extend_memory(offset, size)
        if (size + 31) // 32 * 3 > computation.get_gas_remaining():
            raise OutOfGas
    context.extcodecopy(computation)
    computation.state.get_code(address.to_bytes(20, "big"))


def _return_data_copy(rules: EdgeRules, computation: EdgeComputation) -> None:
    """§6.7.6 and §6.7.7."""
    memory_offset, data_offset, length = (_stack_item(computation, index) for index in range(3))
    if data_offset >= UINT64 or (rules.generation != "G3" and memory_offset >= UINT64):
        raise OutOfGas
    if rules.generation == "G3" and length == 0:
        computation.stack_pop_ints(3)
        return
    context.returndatacopy(computation)


def _instructions(rules: EdgeRules) -> dict[int, Any]:
    """§6.5, flag by flag; a missing instruction is an invalid one."""
    values, istanbul, has = opcode_values, "istanbul" in rules, rules.flags.__contains__
    table: dict[int, Any] = dict(FRONTIER_OPCODES)
    if has("byzantium"):
        for value in (values.REVERT, values.RETURNDATASIZE):
            table[value] = BYZANTIUM_OPCODES[value]
        table[values.RETURNDATACOPY] = as_opcode(partial(_return_data_copy, rules), mnemonics.RETURNDATACOPY, 3)
    if has("constantinople"):
        for value in (values.SHL, values.SHR, values.SAR, values.EXTCODEHASH):
            table[value] = CONSTANTINOPLE_OPCODES[value]
    if istanbul:
        for value in (values.CHAINID, values.SELFBALANCE):
            table[value] = ISTANBUL_OPCODES[value]
    if has("london") and rules.generation == "G3":
        table[values.BASEFEE] = as_opcode(block.basefee, mnemonics.BASEFEE, 2)

    def priced(value: int, logic: Any, mnemonic: str, gas: int) -> None:
        table[value] = as_opcode(logic, mnemonic, gas)

    eip150 = has("EIP150")
    priced(values.SLOAD, storage.sload, mnemonics.SLOAD, 800 if istanbul else 200 if eip150 else 50)
    priced(values.BALANCE, context.balance, mnemonics.BALANCE, 700 if istanbul else 400 if eip150 else 20)
    priced(values.EXTCODESIZE, context.extcodesize, mnemonics.EXTCODESIZE, 700 if eip150 else 20)
    priced(values.EXTCODECOPY, _ext_code_copy, mnemonics.EXTCODECOPY, 700 if eip150 else 20)
    if has("constantinople"):
        priced(values.EXTCODEHASH, context.extcodehash, mnemonics.EXTCODEHASH, 700 if istanbul else 400)
    priced(values.EXP, arithmetic.exp(gas_per_byte=50 if has("EIP158") else 10), mnemonics.EXP, 10)

    if istanbul:
        store: Any = sstore_eip2200
    elif has("constantinople") and not has("petersburg"):
        store = sstore_eip1283
    else:
        store = storage.sstore
    priced(values.SSTORE, partial(_never_static, store), mnemonics.SSTORE, 0)
    for value in range(values.LOG0, values.LOG4 + 1):
        table[value] = partial(_never_static, FRONTIER_OPCODES[value])
    priced(values.SELFDESTRUCT, partial(_self_destruct, rules), mnemonics.SELFDESTRUCT, 0)

    priced(values.BYTE, _byte, mnemonics.BYTE, 3)
    priced(values.SIGNEXTEND, _sign_extend, mnemonics.SIGNEXTEND, 5)
    for value, copy, mnemonic in (
        (values.CALLDATACOPY, context.calldatacopy, mnemonics.CALLDATACOPY),
        (values.CODECOPY, context.codecopy, mnemonics.CODECOPY),
    ):
        priced(value, partial(_copy_with_checked_offset, copy, 0), mnemonic, 3)

    call_gas = 700 if eip150 else 40
    calls: list[tuple[int, Any, str, bool]] = [
        (values.CALL, EdgeCall, mnemonics.CALL, True),
        (values.CALLCODE, EdgeCallCode, mnemonics.CALLCODE, True),
        (values.DELEGATECALL, EdgeDelegateCall, mnemonics.DELEGATECALL, has("homestead")),
        (values.STATICCALL, EdgeStaticCall, mnemonics.STATICCALL, has("byzantium")),
    ]
    for value, call, mnemonic, exists in calls:
        if exists:
            table[value] = _configured(call, mnemonic=mnemonic, gas_cost=call_gas, rules=rules)()
    for value, mnemonic, is_create2 in (
        (values.CREATE, mnemonics.CREATE, False),
        (values.CREATE2, mnemonics.CREATE2, True),
    ):
        if not is_create2 or has("constantinople"):
            table[value] = _configured(
                EdgeCreate, mnemonic=mnemonic, gas_cost=32_000, rules=rules, is_create2=is_create2
            )()
    return table


# Precompiles (§6.8)


def _pairing(base: int, each: int, computation: EdgeComputation) -> EdgeComputation:
    """py-evm's pairing without its look at the subgroup of the second point (§6.7.10)."""
    data = computation.msg.data_as_bytes
    if len(data) % 192:
        raise VMError("length")
    computation.consume_gas(base + each * (len(data) // 192), reason="pairing")
    product = bn128.FQ12.one()
    for start in range(0, len(data), 192):
        x1, y1, x2i, x2r, y2i, y2r = (
            int.from_bytes(data[start + 32 * index : start + 32 * index + 32], "big") for index in range(6)
        )
        try:
            first = validate_point(x1, y1)
        except Exception as error:
            raise VMError("first point") from error
        if max(x2i, x2r, y2i, y2r) >= bn128.field_modulus:
            raise VMError("second point")
        second = bn128.Z2
        if x2i or x2r or y2i or y2r:
            second = (bn128.FQ2([x2r, x2i]), bn128.FQ2([y2r, y2i]), bn128.FQ2.one())
            if not bn128.is_on_curve(second, bn128.b2):
                raise VMError("second point")
        product = product * bn128.pairing(second, first, final_exponentiate=False)
    is_one = bn128.final_exponentiate(product) == bn128.FQ12.one()
    computation.output = int(is_one).to_bytes(32, "big")
    return computation


def _native_transfer(computation: EdgeComputation) -> EdgeComputation:
    """Moves coins between any two accounts for 0x1010, in a static frame as well."""
    computation.consume_gas(21_000, reason="native transfer")
    data = computation.msg.data_as_bytes
    if len(data) < 96 or computation.msg.sender != NATIVE_TOKEN:
        raise VMError("refused")
    source, target, amount = data[12:32], data[44:64], int.from_bytes(data[64:96], "big")
    if not computation.state.subtract_balance(source, amount):
        raise VMError("balance")
    computation.state.add_balance(target, amount)
    computation.output = (1).to_bytes(32, "big")
    return computation


def _aggregate_check(computation: EdgeComputation) -> EdgeComputation:
    """Input that is no ABI encoding fails; no other is ever made here, the core's own tests have the rest."""
    raise VMError("malformed")


def _precompiles(rules: EdgeRules) -> dict[bytes, Any]:
    istanbul = "istanbul" in rules
    table: dict[int, Any] = {
        1: precompiles.ecrecover,
        2: precompiles.sha256,
        3: precompiles.ripemd160,
        4: precompiles.identity,
    }
    if "byzantium" in rules:
        table |= {
            5: precompiles.modexp,
            6: precompiles.ecadd(gas_cost=150 if istanbul else 500),
            7: precompiles.ecmul(gas_cost=6_000 if istanbul else 40_000),
            8: partial(_pairing, *((45_000, 34_000) if istanbul else (100_000, 80_000))),
        }
    if istanbul:
        table[9] = precompiles.blake2b_fcompress
    if rules.generation != "G1":
        table |= {0x2020: _native_transfer, 0x2030: _aggregate_check}
    return {number.to_bytes(20, "big"): precompile for number, precompile in table.items()}


@lru_cache(maxsize=None)
def machine(rules: EdgeRules) -> type[EdgeComputation]:
    """The class of frames under `rules`."""
    made: type[EdgeComputation] = _configured(
        EdgeComputation, rules=rules, opcodes=_instructions(rules), _precompiles=_precompiles(rules)
    )
    return made
