"""What a payer bears beside orders: a merchant's charge, or a promotion's cost. Reserved, then committed or released.

Whoever commits a promotion's cost books it with 1110 and the contract as dimension where it would book 5000; a charge
is booked here. Callers hold the merchant's books before they commit; they reserve before they lock any stock.
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from billing import postings
from billing.payers import store as payers
from billing.payers.caps import store as caps
from billing.payers.caps.store import CapKey
from billing.payers.rules import period_from
from billing.payers.shares import store as shares
from billing.payers.shares.store import PayerShare
from billing.payers.store import Version
from billing.payers.terms import PayerTerms
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.flows.payers.book_share import keep_share, post_share

_PAYS = {shares.CHARGE: "charges", shares.PROMOTION: "promotion"}


class CoverCost(msgspec.Struct, frozen=True, kw_only=True):
    """So much of a contract for a source: a charge or promotion (`source`), under its id, once. on: its local day."""

    contract_id: int
    merchant_id: int
    entity_id: int
    source: str
    source_id: int
    source_ref: str
    amount_minor: int
    on: date


async def reserve_cost(tx: Tx, cmd: CoverCost) -> PayerShare:
    """As `reserve_costs`, of one."""
    [share] = await reserve_costs(tx, [cmd])
    return share


async def reserve_costs(tx: Tx, cmds: Sequence[CoverCost]) -> list[PayerShare]:
    """Set amounts aside, all of them, from each cap once and in the order of contracts; returns the shares.

    Raises NotFound, and Conflict when a contract pays no such thing, is not valid on the day, or its cap does not give
    that much.
    """
    wanted: dict[CapKey, list[PayerShare]] = {}
    terms: dict[int, PayerTerms] = {}
    for cmd in cmds:
        version = await payers.version_on(tx, cmd.contract_id, cmd.on)
        _check_pays(version.terms, cmd)
        share = _reserved(tx, cmd, version)
        wanted.setdefault(share.cap, []).append(share)
        terms[cmd.contract_id] = version.terms
    new: list[PayerShare] = []
    for key in sorted(wanted, key=lambda key: (key.contract_id, key.period_from)):
        minor, shard = sum(share.amount_minor for share in wanted[key]), wanted[key][0].shard
        of = terms[key.contract_id]
        if not await caps.reserve(tx, key, of.cap_period, shard, minor):
            raise Conflict(f"the cap of {of.payer} ({of.name}) does not give {minor} any more")
        new += [msgspec.structs.replace(share, shard=shard) for share in wanted[key]]
    await shares.add_shares(tx, new)
    return new


def _check_pays(terms: PayerTerms, cmd: CoverCost) -> None:
    if terms.pays != _PAYS[cmd.source]:
        raise Conflict(f"payer contract {terms.name!r} pays {terms.pays}, not a {cmd.source}")
    if not terms.is_valid_on(cmd.on):
        raise Conflict(f"payer contract {terms.name!r} is not valid on {cmd.on}")


def _reserved(tx: Tx, cmd: CoverCost, version: Version) -> PayerShare:
    return PayerShare(
        merchant_id=cmd.merchant_id,
        source=cmd.source,
        source_id=cmd.source_id,
        contract_id=cmd.contract_id,
        version_id=version.version_id,
        payer_id=version.payer_id,
        entity_id=cmd.entity_id,
        source_ref=cmd.source_ref,
        currency=version.terms.currency,
        state="reserved",
        period_from=period_from(version.terms.cap_period, cmd.on),
        shard=caps.shard_of(cmd.source_id),
        line_nos=[1],
        line_minor=[cmd.amount_minor],
        line_back_minor=[0],
        amount_minor=cmd.amount_minor,
        reserved_at=tx.now,
    )


async def commit_cost(
    tx: Tx, merchant_id: int, source: str, source_id: int, contract_id: int, *, on: date
) -> PayerShare:
    """The payer owes it from that day, and the next claim asks for it; again: nothing.

    A charge is booked as what the merchant need not bear: 1110 to payable. Raises NotFound, Conflict when released.
    """
    share = await _found(tx, merchant_id, source, source_id, contract_id)
    if share.state == "committed":
        return share
    if share.state == "released":
        raise Conflict(f"what contract {contract_id} would have borne of {source} {source_id} was released")
    if source == shares.CHARGE:
        await post_share(
            tx, share, "payer_charge", postings.charge_covered(share.amount_minor, contract_id), on=on,
            source_id=source_id,
        )  # fmt: skip
    return await keep_share(tx, msgspec.structs.replace(share, state="committed", claimable_on=on), on=on)


async def release_cost(tx: Tx, merchant_id: int, source: str, source_id: int, contract_id: int) -> None:
    """What was reserved came to nothing: the cap has it again; again: nothing.

    Raises NotFound, and Conflict once it is committed.
    """
    share = await _found(tx, merchant_id, source, source_id, contract_id)
    if share.state == "released":
        return
    if share.state == "committed":
        raise Conflict(f"what contract {contract_id} bears of {source} {source_id} is owed already")
    await shares.store_share(tx, msgspec.structs.replace(share, state="released"))
    await caps.give_back(tx, share.cap, share.shard, share.amount_minor)


async def _found(tx: Tx, merchant_id: int, source: str, source_id: int, contract_id: int) -> PayerShare:
    share = await shares.get_share(tx, merchant_id, source, source_id, contract_id, lock=True)
    if share is None:
        raise NotFound(f"contract {contract_id} bears nothing of {source} {source_id} of merchant {merchant_id}")
    return share
