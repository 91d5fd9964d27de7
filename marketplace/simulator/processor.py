"""The simulated processor: commands in, events and movements of money out. Every command is one transaction."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from marketplace.core.clock import Clock, SystemClock
from marketplace.core.errors import AppError, Conflict, Invalid, NotFound
from marketplace.core.money import check_currency, text_from_minor
from marketplace.processors.wire import (
    Accepted,
    Authorise,
    Capture,
    DisputeData,
    Event,
    PaymentData,
    Refund,
    RefundData,
)
from marketplace.simulator.model import DECLINED, Behaviour, Token, captured_of
from marketplace.simulator.store import Store

COLUMNS = ("id", "kind", "reference", "dispute", "gross", "fee", "net", "currency", "at")
"""The columns of a settlement file. Its last line is the total: kind `total`, reference the bank batch, at the day."""


class KeyReused(AppError):
    code = "simulated-key-reused"
    status = 422
    title = "The Idempotency-Key belongs to another request"


class Processor:
    """`wall` is what pauses go by; `clock` is the day that the processor says it is, which can be set."""

    def __init__(self, store: Store, clock: Clock, behaviour: Behaviour) -> None:
        self.store = store
        self.behaviour = behaviour
        self.wall = SystemClock()
        self._clock = clock

    def now(self) -> datetime:
        told = self.store.setting("clock")
        return datetime.fromisoformat(told) if told else self._clock.now()

    def once(self, key: str, request: str, work: Callable[[], Accepted]) -> tuple[int, bytes]:
        """Do a command under its key, or answer as before. What was refused had no effect and is not remembered."""
        if not key:
            raise Invalid("Idempotency-Key: is missing")
        known = self.store.answer(key)
        if known is not None:
            if known["request"] != request:
                raise KeyReused("Idempotency-Key: was sent before with another request")
            return known["status"], known["body"]
        with self.store.transaction():
            body = msgspec.json.encode(work())
            self.store.keep_answer(key, request, 202, body)
        return 202, body

    def authorise(self, asked: Authorise) -> Accepted:
        check_currency(asked.currency)
        if asked.amount_minor <= 0:
            raise Invalid("amount_minor: must be above zero")
        if asked.method not in set(Token):
            raise Invalid(f"method: {asked.method[:40]!r} is none of {', '.join(Token)}")
        if self.store.payment(asked.reference) is not None:
            raise Conflict(f"reference: there is a payment {asked.reference} already")
        failure = DECLINED.get(Token(asked.method))
        state = "failed" if failure else "authorised"
        self.store.add_payment(asked.reference, asked.method, asked.currency, asked.amount_minor, state)
        return self._tell(asked.reference, state, asked.amount_minor, failure)

    def capture(self, reference: str, asked: Capture) -> Accepted:
        payment = self._payment(reference)
        if payment["state"] != "authorised":
            raise Conflict(f"state: the payment is {payment['state']}")
        if asked.currency != payment["currency"]:
            raise Invalid(f"currency: the payment is in {payment['currency']}")
        if not 0 < asked.amount_minor <= payment["amount_minor"]:
            raise Invalid(f"amount_minor: must be 1 to {payment['amount_minor']}")
        if payment["method"] == Token.CAPTURE_FAILS:
            self.store.set_payment(reference, "failed")
            return self._tell(reference, "failed", payment["amount_minor"], "capture failed")
        captured = captured_of(payment["method"], asked.amount_minor)
        self.store.set_payment(reference, "captured", captured)
        self._move("capture", reference, captured, self.behaviour.fees.of_capture(captured), payment["currency"])
        accepted = self._tell(reference, "captured", captured)
        if payment["method"] == Token.DISPUTE:
            self.open_dispute(reference, captured)
        return accepted

    def void(self, reference: str) -> Accepted:
        payment = self._payment(reference)
        if payment["state"] == "captured":
            raise Conflict("state: the payment is captured")
        if payment["state"] == "authorised":
            self.store.set_payment(reference, "voided")
            return self._tell(reference, "voided", payment["amount_minor"])
        return Accepted(payment=self._id("pay", payment["payment_no"]), reference=reference)

    def refund(self, reference: str, asked: Refund) -> Accepted:
        payment = self._payment(reference)
        left = payment["captured_minor"] - payment["refunded_minor"]
        if asked.currency != payment["currency"]:
            raise Invalid(f"currency: the payment is in {payment['currency']}")
        if not 0 < asked.amount_minor <= left:
            raise Invalid(f"amount_minor: {asked.amount_minor} is not within the {left} that are left of the payment")
        if self.store.refund(asked.reference, reference) is not None:
            raise Conflict(f"reference: refund {asked.reference} of this payment was made already")
        failure = "account closed" if payment["method"] == Token.REFUND_FAILS else None
        if failure is None:
            self.store.add_refund(asked.reference, reference, asked.amount_minor)
            self._move("refund", asked.reference, -asked.amount_minor, 0, payment["currency"])
        data = RefundData(
            reference=asked.reference,
            payment_reference=reference,
            amount_minor=asked.amount_minor,
            currency=payment["currency"],
            failure=failure,
        )
        self._emit("refund.failed" if failure else "refund.succeeded", data)
        return Accepted(payment=self._id("pay", payment["payment_no"]), reference=asked.reference)

    def open_dispute(self, reference: str, amount_minor: int | None = None) -> str:
        """The buyer's bank takes a payment back, in part or whole, the processor its fee; returns the dispute's id."""
        payment = self._payment(reference)
        amount = payment["captured_minor"] if amount_minor is None else amount_minor
        if not 0 < amount <= payment["captured_minor"]:
            raise Invalid(f"amount_minor: must be 1 to {payment['captured_minor']}")
        dispute_no = self.store.add_dispute(reference, amount)
        fee = self.behaviour.fees.dispute_minor
        self._move("dispute", reference, -amount, fee, payment["currency"], self._id("dp", dispute_no))
        return self._tell_dispute(dispute_no, "opened")

    def close_dispute(self, dispute_ref: str, *, won: bool) -> str:
        number = dispute_ref.rpartition("_")[2]
        dispute = self.store.dispute(int(number)) if number.isdigit() else None
        if dispute is None or self._id("dp", dispute["dispute_no"]) != dispute_ref:
            raise NotFound(f"there is no dispute {dispute_ref}")
        if dispute["state"] != "opened":
            raise Conflict(f"state: the dispute is {dispute['state']}")
        self.store.set_dispute(dispute["dispute_no"], "won" if won else "lost")
        if won:
            currency = self._payment(dispute["reference"])["currency"]
            self._move("dispute_won", dispute["reference"], dispute["amount_minor"], 0, currency, dispute_ref)
        return self._tell_dispute(dispute["dispute_no"], "won" if won else "lost")

    def charge(self, fee_minor: int, currency: str) -> None:
        """A fee that belongs to no payment."""
        check_currency(currency)
        self._move("fee", "", 0, fee_minor, currency)

    def settlement_file(self, day: date) -> str:
        """The day's movements as CSV, and the total that is paid out as one bank batch. Raises NotFound without any."""
        lines = self.store.movements(day.isoformat())
        if not lines:
            raise NotFound(f"nothing moved on {day.isoformat()}")
        if len({line["currency"] for line in lines}) > 1:
            raise Conflict("the day has several currencies; this processor pays out one")
        written = io.StringIO()
        table = csv.writer(written, lineterminator="\n")
        table.writerow(COLUMNS)
        currency = lines[0]["currency"]
        for line in lines:
            amounts = _texts(line["gross_minor"], line["fee_minor"], currency)
            what = (self._id("mv", line["movement_no"]), line["kind"], line["reference"], line["dispute"])
            table.writerow([*what, *amounts, currency, line["at"]])
        total = _texts(sum(line["gross_minor"] for line in lines), sum(line["fee_minor"] for line in lines), currency)
        batch = f"batch_{self.store.began}_{day:%Y%m%d}"
        table.writerow([str(len(lines)), "total", batch, "", *total, currency, day.isoformat()])
        return written.getvalue()

    def event_id(self, event_no: int) -> str:
        return self._id("evt", event_no)

    def _payment(self, reference: str) -> Any:
        payment = self.store.payment(reference)
        if payment is None:
            raise NotFound(f"there is no payment {reference}")
        return payment

    def _id(self, noun: str, number: int) -> str:
        """Ids are counted, and differ between two files of the simulator by when these were begun."""
        return f"{noun}_{self.store.began}_{number}"

    def _move(
        self, kind: str, reference: str, gross_minor: int, fee_minor: int, currency: str, dispute: str = ""
    ) -> None:
        at = self.now().astimezone(UTC)
        self.store.add_movement(kind, reference, dispute, gross_minor, fee_minor, currency, at)

    def _tell(self, reference: str, state: str, amount_minor: int, failure: str | None = None) -> Accepted:
        payment = self._payment(reference)
        number = self._id("pay", payment["payment_no"])
        data = PaymentData(
            payment=number, reference=reference, amount_minor=amount_minor, currency=payment["currency"],
            failure=failure,
        )  # fmt: skip
        late = self.behaviour.slow_s if payment["method"] == Token.SLOW else 0
        self._emit(f"payment.{state}", data, late_s=late)
        return Accepted(payment=number, reference=reference)

    def _tell_dispute(self, dispute_no: int, state: str) -> str:
        dispute = self.store.dispute(dispute_no)
        assert dispute is not None
        data = DisputeData(
            dispute=self._id("dp", dispute_no),
            reference=dispute["reference"],
            amount_minor=dispute["amount_minor"],
            fee_minor=self.behaviour.fees.dispute_minor,
            currency=self._payment(dispute["reference"])["currency"],
        )
        self._emit(f"dispute.{state}", data)
        return data.dispute

    def _emit(self, kind: str, data: PaymentData | RefundData | DisputeData, *, late_s: int = 0) -> None:
        event = Event(type=kind, occurred_at=self.now(), data=msgspec.to_builtins(data))
        held = "held" if self.store.setting("hold") else "pending"
        not_before = self.wall.now() + timedelta(seconds=late_s)
        self.store.add_event(msgspec.json.encode(event), held, not_before)


def _texts(gross_minor: int, fee_minor: int, currency: str) -> list[str]:
    return [text_from_minor(minor, currency) for minor in (gross_minor, fee_minor, gross_minor - fee_minor)]
