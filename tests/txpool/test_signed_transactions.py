"""The pool with the real decoder: what wallets sign is taken, with the hash that they expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account
from tests.txpool.ledger import RICH

from polygon_edge import _core
from polygon_edge.chain.intrinsic_gas import intrinsic_gas
from polygon_edge.errors import PoolError, Refusal
from polygon_edge.txpool.pool import PoolLimits, TransactionPool

if TYPE_CHECKING:
    from eth_account.datastructures import SignedTransaction

FORKS = dict.fromkeys(("homestead", "EIP150", "EIP155", "EIP158", "byzantium", "istanbul"), 0)
RULES = _core.Rules("G1", 100, FORKS, 0)
WALLET = Account.from_key(b"\x17" * 32)


class RichState:
    gas_limit = 5_000_000
    base_fee = 0
    dynamic_fee_refusal: Refusal | None = Refusal.TYPE
    init_code_limit: int | None = None

    def account(self, address: bytes) -> tuple[int, int]:
        return (7, RICH) if address == bytes.fromhex(WALLET.address[2:]) else (0, 0)


def pool() -> TransactionPool:
    return TransactionPool(
        RichState(),
        lambda raw: _core.decode_transaction(RULES, 1, raw),
        PoolLimits(),
        intrinsic_gas=lambda transaction: intrinsic_gas(
            FORKS, 1, creates=transaction.to is None, data=transaction.input
        ),
    )


def signed(**fields: Any) -> SignedTransaction:
    usual = {"nonce": 7, "gasPrice": 10**9, "gas": 21_000, "to": "0x" + "00" * 20, "value": 1, "chainId": 100}
    found: SignedTransaction = WALLET.sign_transaction(usual | fields)
    return found


def test_a_signed_transaction_is_taken_with_its_hash() -> None:
    taken = pool()
    transfer = signed()
    assert taken.add(bytes(transfer.raw_transaction)) == bytes(transfer.hash)
    found = taken.find(bytes(transfer.hash))
    assert found is not None
    assert found.raw == bytes(transfer.raw_transaction)
    assert taken.next_nonce(bytes.fromhex(WALLET.address[2:])) == 8


def test_a_creation_is_charged_for_every_byte() -> None:
    code = b"\0\1" * 10
    enough = 53_000 + 10 * 4 + 10 * 16
    with pytest.raises(PoolError, match="intrinsic gas too low"):
        pool().add(bytes(signed(to=b"", data=code, gas=enough - 1).raw_transaction))
    pool().add(bytes(signed(to=b"", data=code, gas=enough).raw_transaction))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"nonce": 6}, "nonce too low"),
        ({"value": RICH}, "insufficient funds for gas * price + value"),
        ({"gas": 5_000_001}, "exceeds block gas limit"),
        ({"chainId": 101}, "cannot extract signature"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_the_words_of_the_go_client(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(PoolError) as caught:
        pool().add(bytes(signed(**fields).raw_transaction))
    assert str(caught.value) == text


def test_a_damaged_transaction_is_refused_by_the_decoder_or_its_signature() -> None:
    raw = bytes(signed().raw_transaction)
    for place in range(len(raw)):
        with pytest.raises(PoolError):
            pool().add(raw[:place])
    # Another signer, an unreadable signature, or no transaction at all: never this wallet's coins.
    for place in range(len(raw)):
        damaged = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(PoolError):
            pool().add(damaged)
