"""How the demonstration wins merchants: leads in stages with visits, content that brings them, a course, and goals."""

from datetime import date, timedelta

from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.users import UserRole, create_user
from marketplace.flows.academy import offer_courses as offers
from marketplace.flows.academy import take_courses as taking
from marketplace.flows.acquisition.claim_leads import claim_lead
from marketplace.flows.acquisition.make_visits import SyncVisits, ToldVisit, sync_visits
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage
from marketplace.flows.acquisition.onboard_merchant import OnboardMerchant, onboard_merchant
from marketplace.flows.acquisition.work_leads import MoveLead, NewLead, add_lead, move_lead
from marketplace.flows.content import publish_pieces as pieces
from marketplace.flows.demo.demo_market import ZONE
from marketplace.flows.steering.set_goals import SetGoal, set_goal
from marketplace.metrics.periods import Grain
from supply.academy.model import Lesson, Mode, Question
from supply.academy.store import list_courses
from supply.content.model import PieceKind, SendDay
from supply.leads.lifecycle import Move
from supply.leads.model import Model
from supply.leads.pools import store as pools
from supply.leads.territories import store as territories
from supply.leads.visits.model import Fix, Place

REP = "rep"
PIECE = "first_hundred_orders"
_EMAIL = "online.content.email"
_SOCIAL = "online.content.social"
_BERLIN = Place(latitude_udeg=52_520_008, longitude_udeg=13_404_954)

_LEADS = (
    ("Atelier Nord", _EMAIL, PIECE, 27),
    ("Backhaus Lenz", "online.form", "", 25),
    ("Café Morgen", "offline.field", "", 24),
    ("Druckwerk Ost", _EMAIL, PIECE, 21),
    ("Eisen und Holz", "online.referral", "", 20),
    ("Fahrrad Fiete", _SOCIAL, PIECE, 16),
    ("Garten Grün", "online.ads.search", "", 13),
    ("Hofladen Ida", "online.form", "", 9),
    ("Instrumente Jakob", "offline.conference", "", 6),
    ("Kerzen Klara", _EMAIL, PIECE, 4),
    ("Lederwaren Lu", "online.form", "", 2),
    ("Möbel Marlene", _SOCIAL, PIECE, 1),
)
"""Company, channel, campaign, and how many days ago it came in."""
_SIGNED, _HELD, _LOST = 2, 6, 7
"""How many of the oldest were signed, are worked on, and were lost; the others wait in the pool."""

_LESSONS = (
    Lesson(
        key="listing", title="A listing that sells", text="Say what it is, show it from three sides, price it whole."
    ),
    Lesson(
        key="parcel", title="The parcel", text="Pack it the day it is paid.\nTell the number of the parcel at once."
    ),
)
_QUESTIONS = (
    Question(asks="When is a parcel packed?", choices=("The day it is paid", "When there are ten of them")),
    Question(asks="How is a listing priced?", choices=("Whole, with what comes on top", "Low, the rest comes later")),
)


async def win_merchants(tx: Tx, seller: int) -> None:
    """Plant all of it, once, as if it had happened over the last weeks. seller: whose person takes the course."""
    if await list_courses(tx, limit=1):
        return
    await _send_content(tx)
    await _work_leads(tx)
    await _teach(tx, seller)
    today = local_date(tx.now, ZONE)
    for metric, target in (("completed_orders", 6_000), ("new_active_merchants", 4)):
        goal = SetGoal(
            metric=metric, grain=Grain.MONTH, on=today, target=target, owner="ops", reason="the season begins"
        )
        await set_goal(tx, goal)


def _ago(tx: Tx, days: int, actor: str | None = None) -> Tx:
    """The same transaction, so many days ago."""
    return Tx(tx.connection, tx.raw, tx.now - timedelta(days=days), actor or tx.actor)


async def _send_content(tx: Tx) -> None:
    then = _ago(tx, 28)
    partner = await pieces.make_partner(then, "Handwerk heute", "redaktion@handwerk.example")
    cmd = pieces.NewPiece(code=PIECE, title="The first hundred orders", kind=PieceKind.GUIDE)
    guide = await pieces.make_piece(then, cmd)
    on = local_date(then.now, ZONE)
    for channel, recipients, opens, shares in ((_EMAIL, 1_200, 288, 31), (_SOCIAL, 5_400, 610, 94)):
        plan = pieces.NewSend(piece_id=guide.piece_id, channel=channel, planned_on=on)
        sent = await pieces.note_sent(then, (await pieces.plan_send(then, plan)).send_id, recipients)
        days = _spread(on, opens, shares)
        await pieces.tell_days(tx, sent.send_id, days)
    today = local_date(tx.now, ZONE)
    shown = pieces.NewSend(
        piece_id=guide.piece_id,
        channel="partner.media",
        planned_on=today + timedelta(days=7),
        partner_id=partner.partner_id,
    )
    await pieces.plan_send(tx, shown)


def _spread(on: date, opens: int, shares: int) -> tuple[SendDay, ...]:
    """Half of what it was taken up on the first day, half of the rest on the second, the rest on the third."""
    halves = (opens // 2, opens // 4, opens - opens // 2 - opens // 4)
    passed = (shares // 2, shares // 4, shares - shares // 2 - shares // 4)
    return tuple(
        SendDay(day=on + timedelta(days=n), opens=many, shares=few)
        for n, (many, few) in enumerate(zip(halves, passed, strict=True))
    )


async def _work_leads(tx: Tx) -> None:
    """Twelve leads: some are signed, some visited, one is lost, the others wait in the pool of their territory."""
    rep = await create_user(tx, REP, "Rosa Rep", [str(UserRole.SALES_REP)])
    berlin = await territories.add_territory(tx, "Berlin", None, None)
    await territories.add_area(tx, berlin.territory_id, "Berlin", "")
    await territories.add_rep(tx, rep.user_id, REP, berlin.territory_id)
    rules = pools.NewPool(
        name="Berlin", territory_id=berlin.territory_id, zone=ZONE, daily_max=10, stock_max=20, protection_days=7,
        idle_days=30, outcome_days=90, cooling_days=14,
    )  # fmt: skip
    pool = await pools.add_pool(tx, rules)
    for number, (company, channel, campaign, days) in enumerate(_LEADS):
        new = NewLead(
            model=Model.PLATFORM, company=company, channel=channel, campaign=campaign, city="Berlin", region="Berlin",
            zone=ZONE, pool_id=pool.pool_id,
        )  # fmt: skip
        lead_id = (await add_lead(_ago(tx, days), new)).lead.lead_id
        if number < _LOST:
            await claim_lead(_ago(tx, days), pool.pool_id, rep.user_id, lead_id)
            await _work(tx, lead_id, rep.user_id, number, days)


async def _work(tx: Tx, lead_id: int, rep_id: int, number: int, days: int) -> None:
    """A visit two days after the claim; then it is signed, goes on, or is lost."""
    then = _ago(tx, days - 2, REP)
    came = Fix(at=then.now - timedelta(hours=1), place=_BERLIN, accuracy_m=12)
    left = Fix(at=then.now - timedelta(minutes=20), place=_BERLIN, accuracy_m=12)
    told = ToldVisit(ref=f"visit-{number}", lead_id=lead_id, came=came, left=left, result="met the owner")
    await sync_visits(then, SyncVisits(device_id="phone of rosa", sent_at=then.now, visits=(told,)), rep_id)
    if number < _HELD:
        await note_stage(then, NoteStage(lead_id=lead_id, stage="qualified"))
    if number < _SIGNED:
        signed = _ago(tx, days - 6, REP)
        won = await onboard_merchant(signed, OnboardMerchant(name=_LEADS[number][0], city="Berlin", region="Berlin"))
        cmd = MoveLead(lead_id=lead_id, move=Move.SIGN, merchant_id=won.merchant_id, reason=f"contract {number + 1}/B")
        await move_lead(signed, cmd, rep_id)
    elif number >= _HELD:
        await move_lead(
            _ago(tx, days - 5, REP), MoveLead(lead_id=lead_id, move=Move.LOSE, reason="sells elsewhere"), rep_id
        )


async def _teach(tx: Tx, seller: int) -> None:
    """A course that every new merchant takes, and one in class next week. The seller's person has passed the first."""
    then = _ago(tx, 40)
    cmd = offers.NewCourse(code="first_steps", title="First steps", mode=Mode.ONLINE, required=True)
    course = await offers.make_course(then, cmd)
    content = offers.NewVersion(lessons=_LESSONS, questions=_QUESTIONS, right=(0, 0), valid_days=365)
    await offers.add_version(then, course.course_id, content)
    learner = _ago(tx, 35, "merchant")
    begun = await taking.begin(learner, taking.Begin(merchant_id=seller, course_id=course.course_id))
    for lesson in _LESSONS:
        await taking.read_lesson(learner, seller, begun.attempt_id, lesson.key)
    await taking.answer(learner, seller, begun.attempt_id, (0, 0))
    talk = await offers.make_course(
        then, offers.NewCourse(code="season", title="Ready for the season", mode=Mode.IN_CLASS)
    )
    await offers.add_version(then, talk.course_id, offers.NewVersion(lessons=()))
    date_of = offers.NewClass(
        course_id=talk.course_id, starts_at=tx.now + timedelta(days=8), place="Berlin, Marktplatz 1",
        trainer="Olivia Ops", seats=12,
    )  # fmt: skip
    await offers.plan_class(tx, date_of)
