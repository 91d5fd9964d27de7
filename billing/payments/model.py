"""What payments speak of. Pure. Amounts are minor units of the payment's currency."""

from datetime import date, datetime

import msgspec

from billing.payments.facts import PaymentState

CASH = "cash"
"""The method of a payment that no processor is told of."""


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer pays at once: amount_minor through the processor, credit_minor out of its credit.

    captured_minor is less than amount_minor where orders were cancelled before the capture. failure: why it failed.
    """

    buyer_id: int
    payment_id: int
    purchase_id: int
    merchant_id: int | None
    amendment_id: int | None
    processor_id: int
    method: str
    currency: str
    amount_minor: int
    credit_minor: int
    state: PaymentState
    processor_ref: str | None
    failure: str | None
    created_at: datetime
    expires_at: datetime
    authorised_at: datetime | None
    captured_at: datetime | None
    captured_minor: int


class PurchasePayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the shop sees it. amendment_id: that of the amendment it is for, null for the purchase itself.

    state `failed` says why in `failure`. expires_at: until when the orders, or the amendment, wait for the money.
    """

    payment_id: int
    amendment_id: int | None
    method: str
    currency: str
    amount_minor: int
    credit_minor: int
    captured_minor: int
    state: PaymentState
    failure: str | None
    created_at: datetime
    expires_at: datetime


def purchase_payment(payment: Payment) -> PurchasePayment:
    return PurchasePayment(**{name: getattr(payment, name) for name in PurchasePayment.__struct_fields__})


class PaymentPart(msgspec.Struct, frozen=True, kw_only=True):
    """An order's part of a payment: open, captured or released. captured_minor: what came by card for it.

    Of a released part that is money the buyer gets back. fee_minor: what the processor has charged for it so far.
    """

    merchant_id: int
    payment_id: int
    order_id: int
    buyer_id: int
    processor_id: int
    currency: str
    amount_minor: int
    credit_minor: int
    state: str
    capture_asked: bool
    captured_minor: int
    fee_minor: int


class PaymentCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What a processor is told: authorise, capture, void or refund; todo, sent, or parked with the error.

    refund_id of money that came for a cancelled order is the payment's own id.
    """

    command_id: int
    processor_id: int
    kind: str
    buyer_id: int
    payment_id: int
    merchant_id: int | None
    refund_id: int | None
    currency: str
    amount_minor: int
    method: str
    state: str
    attempts: int
    error: str | None
    created_at: datetime


class PaymentDetail(msgspec.Struct, frozen=True, kw_only=True):
    payment: Payment
    parts: list[PaymentPart]
    commands: list[PaymentCommand]


class InboxEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a processor as it came in: waiting, applied, or parked with the error. body: its own words."""

    inbox_id: int
    processor_id: int
    event_ref: str
    body: str
    state: str
    attempts: int
    error: str | None
    received_at: datetime
    applied_at: datetime | None


class ProcessorFile(msgspec.Struct, frozen=True, kw_only=True):
    """A settlement file: the bank batch it explains, and the sums of its new lines as far as they are booked.

    new_lines: how many it set out to book; lines: how many of them it has. One that is left while it is `booking` goes
    on when it is imported again.
    """

    file_id: int
    processor_id: int
    batch_ref: str
    paid_on: date
    currency: str
    state: str
    new_lines: int
    lines: int
    gross_minor: int
    fee_minor: int
    net_minor: int
    imported_at: datetime
    imported_by: str
