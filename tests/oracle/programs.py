"""Random programs that get somewhere: weighted instructions on a stack that holds what they need.

Jumps go to real destinations, calls to contracts, precompiles and nothing, creations run small init code. A program
knows the flags of its chain and mostly keeps to instructions that exist. The same random numbers make the same program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.oracle.edge_precompiles import NATIVE_TRANSFER
from tests.oracle.edge_rules import LISTS, READ_ROLE, WRITTEN_ROLES
from tests.oracle.instruction_set import (
    CALL,
    CALLCODE,
    CODECOPY,
    CREATE,
    CREATE2,
    DELEGATECALL,
    DUP1,
    EDGES,
    FAR,
    INSTRUCTIONS,
    INVALID,
    JUMPDEST,
    JUMPI,
    LIKELY,
    NEEDS,
    OFTEN,
    PUSH1,
    RETURN,
    REVERT,
    SELF_DESTRUCT,
    STATICCALL,
    STOP,
    SWAP1,
)
from tests.oracle.precompile_inputs import precompile_input, words

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from tests.oracle.edge_rules import EdgeRules


@dataclass(frozen=True)
class Surroundings:
    """What a program may refer to."""

    rules: EdgeRules
    contracts: Sequence[bytes]
    others: Sequence[bytes]


class ProgramWriter:
    """Writes one program; `height` is how many items are surely on the stack."""

    def __init__(self, chance: random.Random, surroundings: Surroundings) -> None:
        self.chance = chance
        self.around = surroundings
        self.rules = surroundings.rules
        self.code = bytearray()
        self.height = 0
        self._names = [
            name
            for name in INSTRUCTIONS
            if NEEDS.get(name) in (None, *self.rules.flags)
            for _ in range(OFTEN.get(name, 1))
        ]

    # Words

    def push(self, value: int) -> None:
        width = max(1, (value.bit_length() + 7) // 8)
        self.code += bytes((PUSH1 + width - 1,)) + value.to_bytes(width, "big")
        self.height += 1

    def emit(self, byte: int, taken: int = 0, pushed: int = 0) -> None:
        self.code.append(byte)
        self.height = max(0, self.height - taken) + pushed

    def address(self) -> bytes:
        chance = self.chance.random()
        if chance < 0.55:
            return self.chance.choice(self.around.contracts)
        if chance < 0.8:
            return self.chance.choice(self.around.others)
        if chance < 0.95:
            return self.chance.randrange(12).to_bytes(20, "big")
        return self.chance.randbytes(20)

    def word(self) -> int:
        chance = self.chance.random()
        if chance < 0.5:
            return self.chance.choice(EDGES)
        if chance < 0.7:
            return self.chance.randrange(300)
        if chance < 0.8:
            return int.from_bytes(self.address(), "big")
        if chance < 0.9:
            return self.chance.getrandbits(256)
        return self.chance.getrandbits(self.chance.randrange(1, 257))

    def argument(self, kind: str) -> int:
        """A likely argument of its kind; now and then any word."""
        chance = self.chance.random()
        if kind in "mr" and chance < 0.02:
            return self.chance.choice(FAR)
        if kind not in LIKELY or chance < 0.04:
            return self.word()
        if kind == "a":
            return int.from_bytes(self.address(), "big")
        value = self.chance.choice(LIKELY[kind])
        return self.word() if value is None else value

    def give(self, kinds: str) -> None:
        """Push arguments, the top one last; a word may be a copy of what is there."""
        for kind in reversed(kinds):
            if kind == "v" and self.height and self.chance.random() < 0.4:
                self.emit(DUP1 + self.chance.randrange(min(self.height, 16)), 0, 1)
            elif kind in "lr" and self.chance.random() < 0.05 and "byzantium" in self.rules:
                self.emit(INSTRUCTIONS["RETURNDATASIZE"][0], 0, 1)
            else:
                self.push(self.argument(kind))

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` into memory, in words."""
        for start in range(0, len(data), 32):
            self.push(int.from_bytes(data[start : start + 32].ljust(32, b"\0"), "big"))
            self.push(offset + start)
            self.emit(INSTRUCTIONS["MSTORE"][0], 2)

    # Statements

    def instruction(self) -> None:
        name = self.chance.choice(self._names)
        if self.chance.random() < 0.002:
            name = self.chance.choice(list(INSTRUCTIONS))
        byte, kinds, pushed = INSTRUCTIONS[name]
        if name == "POP" or (not kinds and self.height > 16):
            return
        self.give(kinds)
        self.emit(byte, len(kinds), pushed)

    def shuffle(self) -> None:
        if self.height >= 2 and self.chance.random() < 0.7:
            self.emit(SWAP1 + self.chance.randrange(min(self.height - 1, 16)))
        elif self.height:
            self.emit(DUP1 + self.chance.randrange(min(self.height, 16)), 0, 1)

    def keep(self) -> None:
        """Put the top of the stack where it is seen."""
        if not self.height:
            return
        if self.chance.random() < 0.5:
            self.push(self.argument("s"))
            self.emit(INSTRUCTIONS["SSTORE"][0], 2)
        else:
            self.push(self.chance.choice((0, 32, 64, 96)))
            self.emit(INSTRUCTIONS["MSTORE"][0], 2)

    def branch(self) -> None:
        """Skip some statements, or not."""
        self.give("v")
        hole = self._hole()
        self.emit(JUMPI, 2)
        height = self.height
        self.statements(self.chance.randrange(1, 4))
        self._land(hole)
        self.height = min(self.height, height)

    def loop(self) -> None:
        """Do some statements a few times; what they leave on the stack is dropped."""
        self.push(self.chance.randrange(1, 5))
        start = len(self.code)
        self.emit(JUMPDEST)
        height = self.height
        self.height = 0
        self.statements(self.chance.randrange(1, 3))
        while self.height:
            self.emit(0x50, 1)
        self.height = height
        self.push(1)
        self.emit(SWAP1)
        self.emit(INSTRUCTIONS["SUB"][0], 2, 1)
        self.emit(DUP1, 0, 1)
        self.code += bytes((PUSH1 + 1,)) + start.to_bytes(2, "big")
        self.emit(JUMPI, 1)
        self.emit(0x50, 1)

    def wild_jump(self) -> None:
        """Anywhere: mostly to no destination, so that the frame fails."""
        self.give("v")
        self.push(self.chance.choice((0, 1, len(self.code), self.word())))
        self.emit(JUMPI, 2)

    def _hole(self) -> int:
        self.code += bytes((PUSH1 + 1, 0, 0))
        self.height += 1
        return len(self.code) - 2

    def _land(self, hole: int) -> None:
        self.code[hole : hole + 2] = len(self.code).to_bytes(2, "big")
        self.emit(JUMPDEST)

    def call(self) -> None:
        kinds = [CALL, CALL, CALL, CALLCODE]
        if "homestead" in self.rules:
            kinds.append(DELEGATECALL)
        if "byzantium" in self.rules:
            kinds.append(STATICCALL)
        kind = self.chance.choice(kinds)
        target, data_offset, data_length = self._target()
        self.give("lm")
        self.push(data_length)
        self.push(data_offset)
        if kind in (CALL, CALLCODE):
            self.push(self.chance.choice((0, 0, 0, 1, 1, 5, 1000, self.word())))
        self.push(int.from_bytes(target, "big"))
        if self.chance.random() < 0.6:
            self.emit(INSTRUCTIONS["GAS"][0], 0, 1)
            if "EIP150" not in self.rules:
                # All of it is more than there is.
                self.push(2)
                self.emit(SWAP1)
                self.emit(INSTRUCTIONS["DIV"][0], 2, 1)
        else:
            self.push(self.chance.choice((0, 1, 700, 2300, 5000, 30000, 100000, (1 << 63) - 1, 1 << 64)))
        taken = 7 if kind in (CALL, CALLCODE) else 6
        self.emit(kind, taken, 1)
        self._look_at_result()

    def _look_at_result(self) -> None:
        if self.chance.random() < 0.5:
            self.keep()
        if "byzantium" in self.rules and self.chance.random() < 0.5:
            size = INSTRUCTIONS["RETURNDATASIZE"][0]
            offset = self.chance.choice((0, 32, 100))
            self.emit(size, 0, 1)
            self.push(0)
            self.push(offset)
            self.emit(INSTRUCTIONS["RETURNDATACOPY"][0], 3)
            if self.chance.random() < 0.5:
                self.emit(size, 0, 1)
                self.push(offset)
                self.emit(INSTRUCTIONS["LOG0"][0], 2)

    def _target(self) -> tuple[bytes, int, int]:
        """A callee, and the input that stands in memory for it."""
        chance = self.chance.random()
        if chance < 0.3:
            return self._precompile()
        if chance < 0.36 and self.rules.generation != "G1":
            return self._edge_contract()
        if chance < 0.5:
            return self.address(), self.argument("m"), self.argument("l")
        return self.chance.choice(self.around.contracts), self.argument("m"), self.argument("l")

    def _precompile(self) -> tuple[bytes, int, int]:
        number = self.chance.choice((1, 2, 3, 4, 5, 5, 6, 6, 7, 8, 9))
        data = precompile_input(number, self.chance)
        if self.chance.random() < 0.1 and data:
            position = self.chance.randrange(len(data))
            data = data[:position] + self.chance.randbytes(1) + data[position + 1 :]
        offset = self.chance.choice((0, 32, 64))
        self.write(offset, data)
        length = len(data)
        if self.chance.random() < 0.1:
            length = max(0, length + self.chance.choice((-32, -1, 1, 32)))
        return number.to_bytes(20, "big"), offset, length

    def _edge_contract(self) -> tuple[bytes, int, int]:
        """A native transfer or a list, from generation 2 on."""
        if self.rules.lists and self.chance.random() < 0.6:
            function = self.chance.choice((READ_ROLE, *WRITTEN_ROLES, b"none"))
            self.write(0, function + words(int.from_bytes(self.address(), "big")))
            target = LISTS[self.chance.choice(sorted(self.rules.lists))]
            return target, 0, self.chance.choice((36, 36, 36, 36, 35, 37, 3))
        amount = self.chance.choice((0, 1, 5, self.word()))
        source, receiver = (int.from_bytes(self.address(), "big") for _ in range(2))
        self.write(0, words(source, receiver, amount))
        return NATIVE_TRANSFER, 0, self.chance.choice((96, 96, 96, 95, 128))

    def create(self) -> None:
        """Create from a word of init code in memory, or from the code of the program itself."""
        is_create2 = "constantinople" in self.rules and self.chance.random() < 0.6
        if self.chance.random() < 0.8:
            init = small_init_code(self.chance)
            self.write(0, init)
            offset, length = 0, len(init)
        else:
            self.emit(INSTRUCTIONS["CODESIZE"][0], 0, 1)
            self.push(0)
            self.push(0)
            self.emit(CODECOPY, 3)
            offset, length = 0, -1
        if is_create2:
            self.push(self.chance.choice((0, 0, 1)))
        if length < 0:
            self.emit(INSTRUCTIONS["CODESIZE"][0], 0, 1)
        else:
            self.push(length)
        self.push(offset)
        self.push(self.chance.choice((0, 0, 0, 1, 5, self.word())))
        self.emit(CREATE2 if is_create2 else CREATE, 4 if is_create2 else 3, 1)
        if self.chance.random() < 0.5:
            # Call what was made: gas, the address below everything.
            self.emit(DUP1, 0, 1)
            self.keep()
            for _ in range(4):
                self.push(0)
            self.push(self.chance.choice((0, 0, 1)))
            self.emit(DUP1 + 5, 0, 1)
            self.push(self.chance.choice((5000, 30000)))
            self.emit(CALL, 7, 1)
        self._look_at_result()

    def oddity(self) -> None:
        """What Edge has otherwise and nobody writes by accident (§6.7)."""
        chance = self.chance
        kind = chance.randrange(4)
        if kind == 0:
            self.push(chance.getrandbits(256))
            self.push(chance.choice(((1 << 64) + 5, 1 << 63, (1 << 64) - (1 << 61), (1 << 64) - 1, 1 << 65)))
            self.emit(INSTRUCTIONS["BYTE"][0], 2, 1)
            self.keep()
        elif kind == 1:
            copies = [
                "CALLDATACOPY",
                "CODECOPY",
                "EXTCODECOPY",
                *(["RETURNDATACOPY"] if "byzantium" in self.rules else []),
            ]
            name = chance.choice(copies)
            self.push(0)
            self.push(chance.choice((0, 1, (1 << 64) - 1, 1 << 64)) if name == "RETURNDATACOPY" else self.argument("i"))
            self.push(chance.choice((0, 1 << 20, (1 << 64) - 1, 1 << 64, (1 << 256) - 1)))
            if name == "EXTCODECOPY":
                self.push(self.argument("a"))
            self.emit(INSTRUCTIONS[name][0], 4 if name == "EXTCODECOPY" else 3)
        elif kind == 2:
            self.push(self.argument("i"))
            self.emit(INSTRUCTIONS["SIGNEXTEND"][0], 1)
        else:
            self.push(0)
            self.push(chance.choice(FAR))
            self.emit(*chance.choice(((0x20, 2, 1), (0xA0, 2, 0))))

    def raw(self) -> None:
        """Bytes that nobody thought about."""
        self.code += self.chance.randbytes(self.chance.randrange(1, 4))

    def statements(self, count: int) -> None:
        kinds: tuple[tuple[Callable[[], None], float], ...] = (
            (self.instruction, 60),
            (self.shuffle, 6),
            (self.keep, 12),
            (self.call, 10),
            (self.branch, 3),
            (self.loop, 1.5),
            (self.create, 3.5),
            (self.oddity, 1.5),
            (self.wild_jump, 0.3),
            (self.raw, 0.3),
        )
        methods, weights = zip(*kinds, strict=True)
        for method in self.chance.choices(methods, weights, k=count):
            method()

    def end(self) -> None:
        """Show what is on the stack, and stop in one of the ways there are."""
        while self.height > 12:
            self.emit(0x50, 1)
        for index in range(min(self.height, self.chance.randrange(9))):
            self.push(32 * index)
            self.emit(INSTRUCTIONS["MSTORE"][0], 2)
        chance = self.chance.random()
        if chance < 0.1:
            return
        if chance < 0.2:
            self.emit(STOP)
        elif chance < 0.3:
            self.push(int.from_bytes(self.address(), "big"))
            self.emit(SELF_DESTRUCT)
        elif chance < 0.33:
            self.emit(INVALID)
        else:
            self.push(self.chance.choice((0, 32, 64, 256, self.argument("l"))))
            self.push(self.chance.choice((0, 0, 1, self.argument("m"))))
            self.emit(REVERT if chance < 0.45 and "byzantium" in self.rules else RETURN)


def small_init_code(chance: random.Random) -> bytes:
    """Init code of a word or two: it stores, returns code, reverts, destroys itself or fails."""
    code = bytearray()
    if chance.random() < 0.4:
        code += bytes((PUSH1, chance.randrange(3), PUSH1, chance.randrange(3), 0x55))
    kind = chance.random()
    if kind < 0.5:
        # Code of a few bytes, from one word of memory.
        runtime = chance.choice(
            (
                b"\x00",
                b"\x60\x01\x60\x00\x55",
                b"\x33\xff",
                b"\xfe",
                b"\x30\x31\x60\x00\x52\x59\x60\x00\xf3",
                b"\xef\x00",
                b"",
            )
        )
        if runtime:
            code += bytes((PUSH1 + len(runtime) - 1,)) + runtime + b"\x60\x00\x52"
        code += bytes((PUSH1, len(runtime), PUSH1, 32 - len(runtime), RETURN))
    elif kind < 0.6:
        code += bytes((PUSH1, 32, PUSH1, 0, REVERT))
    elif kind < 0.75:
        code += bytes((0x33, SELF_DESTRUCT))
    elif kind < 0.8:
        code += bytes((INVALID,))
    elif kind < 0.95:
        # More code than most can pay for.
        code += b"\x61" + chance.choice((400, 1000, 3000, 24576, 24577)).to_bytes(2, "big") + bytes((PUSH1, 0, RETURN))
    return bytes(code)


def program(chance: random.Random, surroundings: Surroundings) -> bytes:
    """A program; one in twenty is bytes without sense."""
    if chance.random() < 0.05:
        return chance.randbytes(chance.randrange(1, 120))
    writer = ProgramWriter(chance, surroundings)
    writer.statements(chance.choice((3, 6, 10, 16, 24)))
    writer.end()
    return bytes(writer.code)


def init_code(chance: random.Random, surroundings: Surroundings) -> bytes:
    """Code for a creation: a program that is deployed, or one that runs at once."""
    written = program(chance, surroundings)
    if chance.random() < 0.5:
        return written
    size = len(written).to_bytes(2, "big")
    return b"\x61" + size + b"\x60\x0e\x60\x00\x39\x61" + size + b"\x60\x00\xf3" + written
