"""A piece is sent, opened, and wins a merchant with the number; and what partners give and take."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage
from marketplace.flows.acquisition.work_leads import MoveLead, NewTouch, move_lead, touch_lead
from marketplace.flows.content import publish_pieces as pieces
from marketplace.flows.content.weigh_pieces import PieceFigures, weigh_partners, weigh_pieces
from supply.content.model import Piece, PieceKind, Send, SendDay, SendState
from supply.leads.attribution import AttributionModel
from supply.leads.channels.store import ensure_channels
from supply.leads.lifecycle import Move
from supply.leads.model import TouchKind
from tests.builders import add_market
from tests.conftest import NOW
from tests.http.market import done, send
from tests.leads.market import bring

Make = Callable[..., Awaitable[httpx.AsyncClient]]
TODAY = NOW.date()
EMAIL, SOCIAL = "online.content.email", "online.content.social"


async def make(db: Database, code: str = "guide_1", partner_id: int | None = None) -> Piece:
    async def work(tx: Tx) -> Piece:
        await ensure_channels(tx)
        cmd = pieces.NewPiece(code=code, title="How to sell", kind=PieceKind.GUIDE, partner_id=partner_id)
        return await pieces.make_piece(tx, cmd)

    return await db.write(WORKER, "greta", work)


async def sent(
    db: Database, piece: Piece, recipients: int, *, channel: str = EMAIL, partner_id: int | None = None
) -> Send:
    cmd = pieces.NewSend(piece_id=piece.piece_id, channel=channel, planned_on=TODAY, partner_id=partner_id)
    planned = await db.write(WORKER, "greta", pieces.plan_send, cmd)
    return await db.write(WORKER, "greta", pieces.note_sent, planned.send_id, recipients)


async def figures(
    db: Database, piece: Piece, attribution: AttributionModel = AttributionModel.LAST
) -> dict[str, PieceFigures]:
    async with db.read(WORKER) as tx:
        return {each.channel: each for each in await weigh_pieces(tx, [piece.piece_id], attribution)}


async def win(db: Database, lead_id: int, merchant_id: int) -> None:
    sign = MoveLead(lead_id=lead_id, move=Move.SIGN, merchant_id=merchant_id, reason="contract 1")
    await db.write(WORKER, "greta", move_lead, sign)
    await db.write(WORKER, "greta", note_stage, NoteStage(lead_id=lead_id, stage="first_order", evidence="order 1"))


async def test_a_piece_is_sent_opened_and_wins_a_merchant(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, "test", add_market, [1, 2])
    piece = await make(db)
    mail = await sent(db, piece, 400)
    await sent(db, piece, 100)
    await sent(db, piece, 50, channel=SOCIAL)
    days = (SendDay(day=TODAY, opens=100, shares=1), SendDay(day=TODAY + timedelta(days=1), opens=15, shares=4))
    await db.write(WORKER, "greta", pieces.tell_days, mail.send_id, days)
    corrected = (SendDay(day=TODAY, opens=110, shares=1),)
    await db.write(WORKER, "greta", pieces.tell_days, mail.send_id, corrected)
    by_mail = [await bring(db, f"Reader {n}", channel=EMAIL, campaign="guide_1") for n in range(3)]
    await bring(db, "Another", channel=EMAIL, campaign="guide_2")
    searched = await bring(db, "Searched", channel="online.search")
    clock.move_to(NOW + timedelta(days=1))
    seen = NewTouch(lead_id=searched.lead_id, kind=TouchKind.SEEN, channel=SOCIAL, campaign="guide_1")
    await db.write(WORKER, "greta", touch_lead, seen)
    await win(db, by_mail[0].lead_id, 1)
    await win(db, searched.lead_id, 2)

    found = await figures(db, piece)
    mail_of = found[EMAIL]
    assert (mail_of.sends, mail_of.recipients, mail_of.opens, mail_of.shares) == (2, 500, 125, 5)
    assert (mail_of.open_ppm, mail_of.share_ppm) == (250_000, 10_000)
    assert (mail_of.touched, mail_of.leads, mail_of.won, mail_of.activated, mail_of.due_ppm) == (3, 3, 1, 1, 1_000_000)
    social = found[SOCIAL]
    assert (social.recipients, social.open_ppm, social.touched, social.leads) == (50, 0, 1, 0)
    assert social.due_ppm == 1_000_000  # by the last touch the searcher is the post's
    assert (await figures(db, piece, AttributionModel.LINEAR))[SOCIAL].due_ppm == 500_000
    assert set(found) == {EMAIL, SOCIAL}


async def test_a_send_is_sent_once_and_taken_up_only_then(db: Database) -> None:
    piece = await make(db)
    plan = pieces.NewSend(piece_id=piece.piece_id, channel=EMAIL, planned_on=TODAY)
    planned = await db.write(WORKER, "greta", pieces.plan_send, plan)
    told = (SendDay(day=TODAY, opens=1, shares=0),)
    with pytest.raises(Conflict, match="the send is planned"):
        await db.write(WORKER, "greta", pieces.tell_days, planned.send_id, told)
    assert await figures(db, piece) == {}
    await db.write(WORKER, "greta", pieces.note_sent, planned.send_id, 10)
    for again in (pieces.cancel_send, lambda tx, send_id: pieces.note_sent(tx, send_id, 9)):
        with pytest.raises(Conflict, match="the send is sent"):
            await db.write(WORKER, "greta", again, planned.send_id)
    for day in (TODAY - timedelta(days=2), TODAY + timedelta(days=2)):
        with pytest.raises(Invalid, match="before the send or is yet to come"):
            await db.write(WORKER, "greta", pieces.tell_days, planned.send_id, (SendDay(day=day, opens=1, shares=0),))
    with pytest.raises(Invalid, match="each day once"):
        await db.write(WORKER, "greta", pieces.tell_days, planned.send_id, told * 2)
    other = await db.write(WORKER, "greta", pieces.plan_send, plan)
    assert (await db.write(WORKER, "greta", pieces.cancel_send, other.send_id)).state is SendState.CANCELLED


async def test_partners_give_and_take(db: Database) -> None:
    partner = await db.write(WORKER, "greta", pieces.make_partner, "City press", "")
    ours, theirs = await make(db), await make(db, "press_1", partner.partner_id)
    await sent(db, ours, 700, channel="partner.media", partner_id=partner.partner_id)
    await sent(db, theirs, 300)
    await sent(db, ours, 5)
    with pytest.raises(Invalid, match="over our own channels"):
        await sent(db, theirs, 1, partner_id=partner.partner_id)
    async with db.read(WORKER) as tx:
        found = (await weigh_partners(tx, [partner.partner_id]))[partner.partner_id]
    assert (found.given_sends, found.given, found.taken_sends, found.taken) == (1, 300, 1, 700)


async def test_content_over_http(db: Database, caller: Make) -> None:
    await make(db, "before")
    greta = await caller("greta", "growth")
    partner = await done(greta, "/content-partners", {"name": "City press"})
    body = {"code": "film", "title": "A film", "kind": "video", "url": "https://films.example/1"}
    piece = await done(greta, "/content-pieces", body)
    assert (await send(greta, "/content-pieces", body)).status_code == 409
    path = f"/content-pieces/{piece['piece_id']}"
    plan = {"channel": "partner.media", "planned_on": "2018-09-03", "partner_id": partner["partner_id"]}
    planned = await done(greta, f"{path}/sends", plan)
    await done(greta, f"/content-sends/{planned['send_id']}/sent", {"recipients": 80})
    day = {"day": "2018-09-03", "opens": 20, "shares": 2}
    await done(greta, f"/content-sends/{planned['send_id']}/days", {"days": [day]})
    [found] = (await greta.get(f"/api/v1{path}/figures")).json()
    assert (found["channel"], found["open_ppm"], found["share_ppm"]) == ("partner.media", 250_000, 25_000)
    assert await _codes(greta, "/content-sends?from_on=2018-09-03&to_on=2018-09-04") == [planned["send_id"]]
    assert await _codes(greta, "/content-sends?to_on=2018-09-03") == []
    [listed] = (await greta.get("/api/v1/content-partners")).json()["items"]
    assert listed["exchange"]["taken"] == 80
    headers = {"If-Match": '"1"'}
    edited = await greta.patch(f"/api/v1{path}", json={"active": False}, headers=headers)
    assert (edited.status_code, edited.json()["title"]) == (200, "A film")
    refused = await send(greta, f"{path}/sends", plan)
    assert (refused.status_code, refused.json()["detail"]) == (409, "piece_id: the piece is used no more")


async def _codes(client: httpx.AsyncClient, path: str) -> list[Any]:
    return [each["send_id"] for each in (await client.get(f"/api/v1{path}")).json()["items"]]
