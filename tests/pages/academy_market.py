"""Courses that wait for a merchant, online and in class, and content that was sent and brought a lead."""

from datetime import timedelta

from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.academy import offer_courses as offers
from marketplace.flows.academy import take_courses as taking
from marketplace.flows.acquisition.work_leads import NewLead, add_lead
from marketplace.flows.content import publish_pieces as pieces
from supply.academy.model import Attempt, Course, Mode
from supply.content.model import PieceKind, SendDay
from supply.leads.channels.store import ensure_channels
from supply.leads.model import Model
from tests.academy.market import offer
from tests.pages.conftest import MARKET_NOW, OTHERS

EMAIL = "online.content.email"


async def add_courses(db: Database) -> tuple[Course, Attempt]:
    """An online course that is required; and one in class yesterday, in which somebody of another merchant sat."""
    course = await offer(db, required=True)

    async def hold(tx: Tx) -> Attempt:
        then = Tx(tx.connection, tx.raw, MARKET_NOW - timedelta(days=2), "other")
        made = await offers.make_course(then, offers.NewCourse(code="till", title="At the <till>", mode=Mode.IN_CLASS))
        await offers.add_version(then, made.course_id, offers.NewVersion(lessons=(), valid_days=20))
        dates = [
            offers.NewClass(
                course_id=made.course_id,
                starts_at=MARKET_NOW + timedelta(days=days),
                place="Bonn",
                trainer="Tess",
                seats=9,
            )
            for days in (-1, 7)
        ]
        held, _ = [await offers.plan_class(then, date) for date in dates]
        cmd = taking.Begin(merchant_id=OTHERS, course_id=made.course_id, class_id=held.class_id)
        return await taking.begin(then, cmd)

    return course, await db.write(WORKER, "ops", hold)


async def add_content(db: Database) -> None:
    """A guide by mail, opened by a quarter of its readers, of whom one came in as a lead; and one that is planned."""

    async def publish(tx: Tx) -> None:
        await ensure_channels(tx)
        partner = await pieces.make_partner(tx, "City <press>", "Paul")
        guide = await pieces.make_piece(tx, pieces.NewPiece(code="guide", title="How to <sell>", kind=PieceKind.GUIDE))
        today = MARKET_NOW.date()
        plan = pieces.NewSend(piece_id=guide.piece_id, channel=EMAIL, planned_on=today)
        mail = await pieces.plan_send(tx, plan)
        await pieces.note_sent(tx, mail.send_id, 400)
        await pieces.tell_days(tx, mail.send_id, (SendDay(day=today, opens=100, shares=5),))
        later = pieces.NewSend(
            piece_id=guide.piece_id, channel="partner.media", planned_on=today + timedelta(days=9),
            partner_id=partner.partner_id,
        )  # fmt: skip
        await pieces.plan_send(tx, later)
        lead = NewLead(model=Model.PLATFORM, company="A <reader>", channel=EMAIL, campaign="guide")
        await add_lead(tx, lead)

    await db.write(WORKER, "ops", publish)
