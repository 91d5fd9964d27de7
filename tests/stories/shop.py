"""A marketplace whose months pass: everybody acts over HTTP, the processor is the simulator, the clock is set by hand.

Three merchants sell at 10 % commission with 20 % VAT on it, as in domain.md. Nothing is put into the books but through
the doors that the people and programs of a real marketplace use.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
from litestar import Litestar
from sqlalchemy import insert

from billing.ledger import store as ledger
from demand.refund_policy import DEFAULT, Bearer, Commission, Reason
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError, Conflict, Invalid, NotFound
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.payments.apply_payment_events import apply_events, receive_event
from marketplace.flows.payments.send_payment_commands import send_commands
from marketplace.processors.model import Refused
from marketplace.processors.wire import Accepted, Authorise, Capture, Refund
from marketplace.simulator.model import Behaviour
from marketplace.simulator.processor import Processor
from marketplace.simulator.store import Store
from supply.tables import offer, product, stock
from tests.billing.accounts import add_account
from tests.billing.market import FLAT, check_books
from tests.builders import HOUSE, PROCESSOR, add_market
from tests.placing.market import stock_of

ALPHA, BETA, GAMMA = 11, 22, 33
MERCHANTS = (ALPHA, BETA, GAMMA)
BUYER = 501
NAME = "card"
SHELF = 50
"""Units of every listing on the shelf before anything is sold."""

CHAIR, LAMP, CABLE = 1, 2, 3
PRICES = {CHAIR: 12_000, LAMP: 4_000, CABLE: 500}
"""What each merchant asks for them, freight free; a chair is the order of domain.md's worked postings."""

MAY_1 = datetime(2018, 5, 1, 9, tzinfo=UTC)

_keys = count(1)


async def add_shop(tx: Tx, merchants: Sequence[int] = MERCHANTS) -> None:
    """Merchants with full shelves and bank accounts, a buyer, a contract."""
    await add_market(tx, merchants)
    titles = {CHAIR: "chair", LAMP: "lamp", CABLE: "cable"}
    await tx.execute(insert(product), [{"product_id": p, "product_ref": title} for p, title in titles.items()])
    for merchant_id in merchants:
        for product_id, price in PRICES.items():
            key = {"merchant_id": merchant_id, "product_id": product_id}
            listed = {"title": titles[product_id], "price_minor": price, "currency": "EUR", "updated_at": tx.now}
            await tx.execute(insert(offer), key | listed | {"counted": True})
            await tx.execute(insert(stock), key | {"on_hand": SHELF})
        await add_account(tx, merchant_id)
    await tx.execute(
        "INSERT INTO demand.buyer (buyer_id, buyer_ref, created_at) VALUES (:buyer, 'ben', :now)",
        {"buyer": BUYER, "now": tx.now},
    )
    await tx.execute("INSERT INTO demand.buyer_ref (buyer_ref, buyer_id) VALUES ('ben', :buyer)", {"buyer": BUYER})
    await apply_versions(tx, [FLAT])


async def total_by_account(db: Database, merchant_id: int) -> dict[int, int]:
    """What a merchant's accounts stand at, over all dimensions; debits positive, nothing left out but zeros."""
    async with db.read(WORKER) as tx:
        found = await ledger.balances(tx, merchant_id)
    sums: dict[int, int] = {}
    for one in found:
        sums[one.account] = sums.get(one.account, 0) + one.balance_minor
    return {account: minor for account, minor in sums.items() if minor}


class AtHand:
    """The simulator as a `Processor` of this process, without the wire between."""

    def __init__(self, simulator: Processor) -> None:
        self.simulator = simulator

    def _do(self, command_id: int, asked: Any, work: Any) -> None:
        def command() -> Accepted:
            accepted: Accepted = work()
            return accepted

        try:
            self.simulator.once(str(command_id), repr(asked), command)
        except AppError as refusal:
            raise Refused(
                refusal.detail, too_late=isinstance(refusal, Conflict | NotFound), rejected=isinstance(refusal, Invalid)
            ) from refusal

    async def authorise(
        self, command_id: int, reference: str, *, amount_minor: int, currency: str, method: str
    ) -> None:
        asked = Authorise(reference=reference, amount_minor=amount_minor, currency=currency, method=method)
        self._do(command_id, asked, lambda: self.simulator.authorise(asked))

    async def capture(self, command_id: int, reference: str, *, amount_minor: int, currency: str) -> None:
        asked = Capture(amount_minor=amount_minor, currency=currency)
        self._do(command_id, asked, lambda: self.simulator.capture(reference, asked))

    async def void(self, command_id: int, reference: str) -> None:
        self._do(command_id, reference, lambda: self.simulator.void(reference))

    async def refund(
        self, command_id: int, reference: str, refund_reference: str, *, amount_minor: int, currency: str
    ) -> None:
        asked = Refund(reference=refund_reference, amount_minor=amount_minor, currency=currency)
        self._do(command_id, asked, lambda: self.simulator.refund(reference, asked))

    async def settlement_file(self, day: date) -> bytes:
        return self.simulator.settlement_file(day).encode()


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase as it was placed. reference: the payment's, as the processor knows it."""

    purchase_id: int
    payment_id: int
    orders: dict[int, int]

    @property
    def reference(self) -> str:
        return f"{BUYER}-{self.payment_id}"

    def path(self, merchant_id: int = ALPHA) -> str:
        return f"/merchants/{merchant_id}/orders/{self.orders[merchant_id]}"


class People:
    """Programs that act over HTTP: the shop's key, owners of the merchants, two of finance, one of ops."""

    def __init__(self, db: Database, people: dict[str, httpx.AsyncClient]) -> None:
        self.db, self.people = db, people

    async def post(self, who: str, path: str, body: object = None) -> Any:
        """POST as somebody, which must succeed; returns the answer."""
        answer = await self.ask(who, path, body)
        assert answer.is_success, answer.text
        return answer.json()

    async def ask(self, who: str, path: str, body: object = None, key: str | None = None) -> httpx.Response:
        """POST as somebody, whatever comes of it."""
        headers = {"Idempotency-Key": key or f"story-{next(_keys)}"}
        options: dict[str, Any] = {} if body is None else {"json": body}
        return await self.people[who].post(f"/api/v1{path}", headers=headers, **options)

    async def get(self, who: str, path: str) -> Any:
        answer = await self.people[who].get(f"/api/v1{path}")
        assert answer.is_success, answer.text
        return answer.json()

    async def place(self, *lines: tuple[int, int, int], method: str = "tok_ok", credit: int = 0) -> Bought:
        """A cart of (merchant, listing, units), quoted and placed at that price."""
        carts = f"/buyers/{BUYER}/carts"
        wanted = [{"merchant_id": m, "product_id": p, "quantity": q} for m, p, q in lines or [(ALPHA, CHAIR, 1)]]
        cart = await self.post("shop", carts, {"currency": "EUR", "lines": wanted})
        quote = await self.get("shop", f"{carts}/{cart['cart_id']}/quote")
        body = {"quote": quote["quote"], "method": method, "credit_minor": credit}
        placed = await self.post("shop", f"{carts}/{cart['cart_id']}/place", body)
        orders = {order["merchant_id"]: order["order_id"] for order in placed["orders"]}
        return Bought(purchase_id=placed["purchase_id"], payment_id=placed["payment_id"], orders=orders)

    async def deliver(self, bought: Bought, merchant_id: int = ALPHA, **body: Any) -> None:
        """The merchant accepts, ships all that is left, and says that it has arrived."""
        owner, path = f"owner of {merchant_id}", bought.path(merchant_id)
        await self.post(owner, f"{path}/accept")
        shipped = await self.post(owner, f"{path}/shipments", body)
        shipment_id = shipped["shipment"]["shipment_id"]
        assert (await self.post(owner, f"{path}/deliveries", {"shipment_id": shipment_id}))["state"] == "delivered"

    async def state(self, bought: Bought, merchant_id: int = ALPHA) -> str:
        found: str = (await self.get("olga", bought.path(merchant_id)))["order"]["state"]
        return found

    async def settle(self, through: date) -> int:
        orders: int = (await self.post("fay", "/settlements", {"through": through.isoformat()}))["orders"]
        return orders


class Till:
    """The processor at hand: what is told to it, and what it says."""

    def __init__(self, db: Database, clock: FixedClock, folder: Path) -> None:
        self.db, self.clock = db, clock
        self.simulator = Processor(Store(folder / "simulator.sqlite", clock.now()), clock, Behaviour())
        self.told = 0

    async def hear(self) -> None:
        """Commands go to the processor and its word comes back, until neither has anything more to say."""
        while await self.send() or await self.receive():
            await apply_events(self.db)
        async with self.db.read(WORKER) as tx:
            left = await tx.rows("SELECT state, error, body FROM billing.inbox_event WHERE state <> 'applied'")
            unsent = await tx.rows("SELECT kind, state, error FROM billing.payment_command WHERE state <> 'sent'")
        assert [tuple(row) for row in (*left, *unsent)] == []

    async def send(self) -> int:
        """Tell the processor what was decided; returns how many commands that was."""
        return await send_commands(self.db, {NAME: AtHand(self.simulator)})

    async def receive(self) -> int:
        """Take in what the processor has said since; returns how many events that was."""
        events = self.simulator.store.events()[self.told :]
        for event in events:
            name = self.simulator.event_id(event["event_no"])
            await self.db.write(WORKER, "processor", receive_event, PROCESSOR, name, event["body"])
        self.told += len(events)
        return len(events)

    async def dispute(self, reference: str, minor: int | None = None) -> str:
        """The buyer's bank takes the payment back; returns the dispute's name."""
        name = self.simulator.open_dispute(reference, minor)
        await self.hear()
        return name

    async def decide(self, dispute: str, *, won: bool) -> None:
        self.simulator.close_dispute(dispute, won=won)
        await self.hear()


class Shop(People, Till):
    """The marketplace with its people, whose clock is set by hand and whose processor answers at once."""

    def __init__(
        self, db: Database, clock: FixedClock, folder: Path, app: Litestar, people: dict[str, httpx.AsyncClient]
    ) -> None:
        People.__init__(self, db, people)
        Till.__init__(self, db, clock, folder)
        self.app = app

    def at(self, month: int, day: int, hour: int = 10) -> None:
        """It is that day of 2018."""
        self.clock.move_to(datetime(2018, month, day, hour, tzinfo=UTC))

    # Buying and paying.
    async def buy(self, *lines: tuple[int, int, int], method: str = "tok_ok", credit: int = 0) -> Bought:
        """Placed, and paid as far as the processor sees to it."""
        bought = await self.place(*lines, method=method, credit=credit)
        await self.hear()
        return bought

    async def bring_file(self, day: date) -> Any:
        """Finance brings the processor's settlement file of a day."""
        content = self.simulator.settlement_file(day)
        return await self.post("fay", "/processor-files", {"processor": NAME, "content": content})

    # Billing, paying out.
    async def bill(self, period: str) -> int:
        """A run that fay makes, and fred approves and makes final; returns its id."""
        run = (await self.post("fay", "/billing-runs", {"period": period}))["run"]
        run_id: int = run["run_id"]
        await self.post("fred", f"/billing-runs/{run_id}/approve", {"batch_id": run["batch_id"]})
        final = await self.post("fred", f"/billing-runs/{run_id}/finalise")
        assert final["run"]["state"] == "finalised"
        return run_id

    async def payouts(self, run_id: int) -> dict[int, dict[str, Any]]:
        """A run's payouts by merchant."""
        found = (await self.get("fay", f"/payouts?run_id={run_id}"))["items"]
        return {one["merchant_id"]: one for one in found}

    async def statement(self, run_id: int, merchant_id: int = ALPHA) -> dict[str, int]:
        """The figures of a merchant's statement that are not zero."""
        found = (await self.get("fay", f"/statements?run_id={run_id}"))["items"]
        [one] = [row for row in found if row["merchant_id"] == merchant_id]
        return {name.removesuffix("_minor"): value for name, value in one.items() if name.endswith("_minor") and value}

    async def refund(self, bought: Bought, merchant_id: int = ALPHA, *, reason: str = "damaged", **what: Any) -> Any:
        """Ops refunds an order, all that is left of it unless something else is named; the processor pays it."""
        body = {"reason": reason, **(what or {"whole": True})}
        done = await self.post("olga", f"{bought.path(merchant_id)}/refunds", body)
        await self.hear()
        return done

    # Looking at shelf and books.
    async def shelf(self, merchant_id: int, product_id: int) -> tuple[int, int]:
        """Units on the shelf, and how many of them are promised."""
        return await stock_of(self.db, merchant_id, product_id)

    async def accounts(self, merchant_id: int) -> dict[int, int]:
        """What a merchant's accounts stand at."""
        return await total_by_account(self.db, merchant_id)

    async def stand(self, merchant: dict[int, int], house: dict[int, int], merchant_id: int = ALPHA) -> None:
        """The accounts of merchant and house are exactly these, and every proof of the books holds."""
        assert await self.accounts(merchant_id) == merchant
        assert await self.accounts(HOUSE) == house
        await check_books(self.db)

    async def entry(self, kind: str, merchant_id: int = ALPHA) -> dict[int, int]:
        """The legs of a merchant's newest entry of a kind."""
        async with self.db.read(WORKER) as tx:
            entries = [one for one in await ledger.list_entries(tx, merchant_id, limit=200) if one.kind == kind]
        assert entries, f"no {kind}"
        return {leg.account: leg.amount_minor for leg in entries[0].legs}

    async def sell_without_recourse(self) -> None:
        """From now on the platform bears disputes that are lost."""
        rules = [
            msgspec.structs.replace(rule, goods=Bearer.PLATFORM, freight=Bearer.PLATFORM, commission=Commission.KEPT)
            if rule.reason is Reason.DISPUTE_LOST
            else rule
            for rule in DEFAULT.rules
        ]
        today = self.clock.now().date().isoformat()
        body = {"name": "without recourse", "valid_from": today, "rules": msgspec.to_builtins(rules)}
        await self.post("fred", "/refund-policies", body)
