"""The instructions that Edge has otherwise than py-evm, and which exist under which flags (§6.5 to §6.7)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from eth import constants
from eth._utils.address import force_bytes_to_address, generate_contract_address, generate_safe_contract_address
from eth.exceptions import Halt, OutOfGas, WriteProtection
from eth.vm import mnemonics, opcode_values
from eth.vm.forks.byzantium.opcodes import BYZANTIUM_OPCODES
from eth.vm.forks.constantinople.opcodes import CONSTANTINOPLE_OPCODES
from eth.vm.forks.constantinople.storage import sstore_eip1283
from eth.vm.forks.frontier.opcodes import FRONTIER_OPCODES
from eth.vm.forks.istanbul.opcodes import ISTANBUL_OPCODES
from eth.vm.forks.istanbul.storage import sstore_eip2200
from eth.vm.logic import arithmetic, block, context, storage
from eth.vm.logic.call import Call, CallCode, DelegateCall, StaticCall, compute_eip150_msg_gas
from eth.vm.logic.system import Create, max_child_gas_eip150
from eth.vm.opcode import as_opcode
from tests.oracle.edge_rules import UINT64, EdgeRules, UnpaidCodeError
from tests.oracle.edge_state import NonceOverflowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.oracle.edge_machine import EdgeComputation


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
            makes_account = (
                sends and state.account_is_empty(to) if "EIP158" in self.rules else not state.account_exists(to)
            )
            extra += 25_000 if makes_account else 0
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
        if computation.state.get_balance(computation.msg.storage_address) < value:
            computation.stack_push_int(0)
            return
        if self.is_create2:
            computation.consume_gas((length + 31) // 32 * 6, reason="hash of the code")
        if computation.msg.depth + 1 > constants.STACK_DEPTH_LIMIT:
            computation.stack_push_int(0)
            return
        code = computation.memory_read_bytes(offset, length)
        gas = computation.get_gas_remaining()
        if "EIP150" in self.rules or self.is_create2:
            gas = max_child_gas_eip150(gas)
        computation.consume_gas(gas, reason=self.mnemonic)
        address = self._new_address(computation, code, *salt)
        if address is None:
            computation.stack_push_int(0)
            return
        child = computation.apply_child_computation(
            computation.prepare_child_message(gas=gas, to=b"", value=value, data=b"", code=code, create_address=address)
        )
        computation.return_gas(child.get_gas_remaining())
        if self._is_told(child):
            computation.stack_push_bytes(address)
        else:
            computation.stack_push_int(0)

    def _new_address(self, computation: EdgeComputation, code: bytes, salt: int = 0) -> bytes | None:
        """None where the nonce cannot be raised or the address is taken."""
        state, creator = computation.state, computation.msg.storage_address
        if self.is_create2:
            address: bytes = generate_safe_contract_address(creator, salt, code)
        else:
            address = generate_contract_address(creator, state.get_nonce(creator))
        try:
            state.increment_nonce(creator)
        except NonceOverflowError:
            return None
        return None if state.has_code_or_nonce(address) else address

    def _is_told(self, child: EdgeComputation) -> bool:
        """Whether the address is pushed: by CREATE2 also where the creation was taken back for want of gas (§6.7.9)."""
        is_unpaid = child.has_unpaid_code or isinstance(child._error, UnpaidCodeError)
        if self.is_create2 and is_unpaid:
            return self.rules.generation != "G3"
        return bool(child.is_success)


# Other instructions


def never_static(write: Callable[[Any], Any], computation: EdgeComputation) -> None:
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


def _copy(copy: Callable[[Any], Any], computation: EdgeComputation) -> None:
    """A memory offset of 2^64 fails, whatever the length (§6.7.6)."""
    if _stack_item(computation, 0) >= UINT64:
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
    if data_offset >= UINT64 or (rules.generation == "G1" and memory_offset >= UINT64):
        raise OutOfGas
    if rules.generation != "G1" and length == 0:
        computation.stack_pop_ints(3)
        return
    context.returndatacopy(computation)


# The table


def _has_base_fee(rules: EdgeRules) -> bool:
    return "london" in rules and rules.generation == "G3"


def _prices(rules: EdgeRules) -> dict[str, int]:
    """What the flags reprice (§6.5), by mnemonic."""
    istanbul, eip150 = "istanbul" in rules, "EIP150" in rules
    return {
        mnemonics.SLOAD: 800 if istanbul else 200 if eip150 else 50,
        mnemonics.BALANCE: 700 if istanbul else 400 if eip150 else 20,
        mnemonics.EXTCODEHASH: 700 if istanbul else 400,
        mnemonics.EXTCODESIZE: 700 if eip150 else 20,
        mnemonics.EXTCODECOPY: 700 if eip150 else 20,
        mnemonics.CALL: 700 if eip150 else 40,
    }


def _store(rules: EdgeRules) -> Callable[[Any], Any]:
    if "istanbul" in rules:
        return partial(never_static, sstore_eip2200)
    if "constantinople" in rules and "petersburg" not in rules:
        return partial(never_static, sstore_eip1283)
    return partial(never_static, storage.sstore)


def instructions(rules: EdgeRules) -> dict[int, Any]:
    """The instructions that exist under `rules`, by byte (§6.5); one that is missing is an invalid one."""
    op, price = opcode_values, _prices(rules)
    table: dict[int, Any] = dict(FRONTIER_OPCODES)
    for flag, later, bytes_of_later in (
        ("byzantium", BYZANTIUM_OPCODES, (op.REVERT, op.RETURNDATASIZE)),
        ("constantinople", CONSTANTINOPLE_OPCODES, (op.SHL, op.SHR, op.SAR)),
        ("istanbul", ISTANBUL_OPCODES, (op.CHAINID, op.SELFBALANCE)),
    ):
        if flag in rules:
            table |= {byte: later[byte] for byte in bytes_of_later}
    exp = arithmetic.exp(gas_per_byte=50 if "EIP158" in rules else 10)
    plain: list[tuple[bool, int, Any, str, int]] = [
        (True, op.EXP, exp, mnemonics.EXP, 10),
        (True, op.SIGNEXTEND, _sign_extend, mnemonics.SIGNEXTEND, 5),
        (True, op.BYTE, _byte, mnemonics.BYTE, 3),
        (True, op.BALANCE, context.balance, mnemonics.BALANCE, price[mnemonics.BALANCE]),
        (True, op.CALLDATACOPY, partial(_copy, context.calldatacopy), mnemonics.CALLDATACOPY, 3),
        (True, op.CODECOPY, partial(_copy, context.codecopy), mnemonics.CODECOPY, 3),
        (True, op.EXTCODESIZE, context.extcodesize, mnemonics.EXTCODESIZE, price[mnemonics.EXTCODESIZE]),
        (True, op.EXTCODECOPY, _ext_code_copy, mnemonics.EXTCODECOPY, price[mnemonics.EXTCODECOPY]),
        ("byzantium" in rules, op.RETURNDATACOPY, partial(_return_data_copy, rules), mnemonics.RETURNDATACOPY, 3),
        (
            *("constantinople" in rules, op.EXTCODEHASH, context.extcodehash),
            *(mnemonics.EXTCODEHASH, price[mnemonics.EXTCODEHASH]),
        ),
        (_has_base_fee(rules), op.BASEFEE, block.basefee, mnemonics.BASEFEE, 2),
        (True, op.SLOAD, storage.sload, mnemonics.SLOAD, price[mnemonics.SLOAD]),
        (True, op.SSTORE, _store(rules), mnemonics.SSTORE, 0),
        (True, op.SELFDESTRUCT, partial(_self_destruct, rules), mnemonics.SELFDESTRUCT, 0),
    ]
    table |= {byte: as_opcode(logic, mnemonic, gas) for exists, byte, logic, mnemonic, gas in plain if exists}
    table |= {byte: partial(never_static, FRONTIER_OPCODES[byte]) for byte in range(op.LOG0, op.LOG4 + 1)}
    framed: list[tuple[bool, int, type, dict[str, Any]]] = [
        (True, op.CALL, EdgeCall, {"mnemonic": mnemonics.CALL}),
        (True, op.CALLCODE, EdgeCallCode, {"mnemonic": mnemonics.CALLCODE}),
        ("homestead" in rules, op.DELEGATECALL, EdgeDelegateCall, {"mnemonic": mnemonics.DELEGATECALL}),
        ("byzantium" in rules, op.STATICCALL, EdgeStaticCall, {"mnemonic": mnemonics.STATICCALL}),
        (True, op.CREATE, EdgeCreate, {"mnemonic": mnemonics.CREATE, "gas_cost": 32_000}),
        (
            *("constantinople" in rules, op.CREATE2, EdgeCreate),
            {"mnemonic": mnemonics.CREATE2, "gas_cost": 32_000, "is_create2": True},
        ),
    ]
    for exists, byte, base, attributes in framed:
        if exists:
            made = type(base.__name__, (base,), {"rules": rules, "gas_cost": price[mnemonics.CALL]} | attributes)
            table[byte] = made()
    return table
