"""Runs promotions over recorded history, with the evaluator and the targets that are live. Pure.

An event is judged when it happens and never again; what settles, is refunded or cancelled later moves its contribution
to the windows that it was judged into, until the clawback horizon is over. Then it is forgotten, so that memory grows
with what is open and with the windows, not with the history. Where no limit binds, merchants do not concern each other.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from incentives.rules.evaluate import Effect, Verdict, evaluate
from incentives.rules.events import NOTHING_USED, Event, Facts, Holdout, Room, Used, Who
from incentives.rules.index import Index, Plan
from incentives.rules.target import is_final
from incentives.simulation.accounts import Account, OpenEvent, Run, Touch
from incentives.simulation.gains import Tally, gains_of
from incentives.simulation.model import Answer, Day, Grant, Record, Replayed, Standings
from incentives.simulation.purse import Purse

Sink = Callable[[Grant], None]
_DIGESTS = 1 << 256


def replay(
    plans: Iterable[Plan],
    history: Iterable[Record],
    *,
    limited: bool = True,
    joined_at: Mapping[Who, datetime] | None = None,
    holdout: Holdout | None = None,
    middle: datetime | None = None,
    sink: Sink | None = None,
) -> list[Answer]:
    """What each of some promotions, live together, comes to over a history; see `Replay`."""
    running = Replay(plans, limited=limited, joined_at=joined_at, holdout=holdout, middle=middle, sink=sink)
    for record in history:
        running.feed(record)
    return running.finish()


class Replay:
    """Promotions that run together over one history, which is fed to it record by record.

    limited: whether budgets hold; without, it is the cost that there is demand for. middle: the instant that parts the
    history into the halves of `Standings.volume`. sink: gets every grant once it is final.
    """

    def __init__(
        self,
        plans: Iterable[Plan],
        *,
        limited: bool = True,
        joined_at: Mapping[Who, datetime] | None = None,
        holdout: Holdout | None = None,
        middle: datetime | None = None,
        sink: Sink | None = None,
    ) -> None:
        plans = list(plans)
        self._index = Index(plans)
        self._runs = {
            plan.promotion_id: Run(plan, Purse(plan.promotion_id, plan.terms, None if limited else ()))
            for plan in plans
        }
        self._used: dict[Who, Used] = {}
        self._facts = Facts(joined_at=joined_at or {}, used=self._used, holdout=holdout)
        self._tight = [run for run in self._runs.values() if run.plan.per_event and run.purse.budgets]
        self._middle, self._sink = middle, sink
        self._volume_on = plans[0].on if plans else ""
        self._volume: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        self._accounts: dict[tuple[int, str, int, str], Account] = {}
        self._open: dict[str, OpenEvent] = {}
        self._finals: deque[tuple[datetime, str]] = deque()
        rewards = [side.side.reward for run in self._runs.values() for _, side in run.sides.values()]
        self._horizon = timedelta(seconds=max((each.clawback.horizon_seconds for each in rewards), default=0))

    def feed(self, record: Record) -> None:
        """Take in what arrived next."""
        while self._finals and self._finals[0][0] <= record.at:
            self._forget(self._finals.popleft()[1])
        event, known = record.event, self._open.get(record.event_id)
        if event is not None and (known is None or event.on not in known.judged):
            known = self._judge(event, record.at, known)
        if known is None:
            return
        if record.left is not None:
            known.left = record.left
        if record.standing != known.standing and known.stand(record.standing, record.at):
            self._finals.append((record.at + self._horizon, record.event_id))
        for touch in known.touches:
            self._move(touch, known, record.at)

    @property
    def open_events(self) -> int:
        """How many events may still change."""
        return len(self._open)

    def finish(self) -> list[Answer]:
        """Close all windows and say what the promotions came to, in the order of their ids."""
        for account in self._accounts.values():
            self._close(account)
        self._accounts.clear()
        return [_answer(run, dict(self._volume)) for _, run in sorted(self._runs.items())]

    def _judge(self, event: Event, at: datetime, known: OpenEvent | None) -> OpenEvent | None:
        """Evaluate an event that has happened; None when nothing came of it."""
        verdicts: Sequence[Verdict] = evaluate(self._index, event, self._facts, at)
        if self._tight:
            verdicts = self._fit(verdicts, event, at)
        applied = []
        for verdict in verdicts:
            if verdict.effects:
                applied.append(verdict)
                continue
            run = self._runs[verdict.promotion_id]
            run.held_out += verdict.outcome == "held_out"
            run.barred += verdict.part == "stacking"
        if self._middle is not None and event.on == self._volume_on:
            self._volume[event.merchant.party_id][at >= self._middle] += event.amount_minor
        if known is None:
            if not applied:
                return None
            known = self._open[event.event_id] = OpenEvent(event)
        known.judged.append(event.on)
        for verdict in applied:
            run = self._runs[verdict.promotion_id]
            run.events += 1
            run.shared += len(applied) > 1
            for effect in verdict.effects:
                account = self._account(run, verdict.arm, effect, event)
                known.touches.append(Touch(account, effect.lines, effect.measure, event.lines))
        return known

    def _fit(self, verdicts: Sequence[Verdict], event: Event, at: datetime) -> Sequence[Verdict]:
        """The verdicts again with what budgets still give, when one of them has not enough for an event's own award."""
        region = event.merchant.region
        wanted = {verdict.promotion_id: _awarded(verdict) for verdict in verdicts}
        tight = [run for run in self._tight if wanted.get(run.plan.promotion_id)]
        if all(run.purse.covers(wanted[run.plan.promotion_id], at, region) for run in tight):
            return verdicts
        found = ((run.plan.promotion_id, run.purse.room(at, region)) for run in tight)
        rooms: dict[int, Room] = {number: room for number, room in found if room is not None}
        fitted = evaluate(self._index, event, msgspec.structs.replace(self._facts, room=rooms), at)
        for verdict in fitted:
            number = verdict.promotion_id
            if number in rooms and wanted[number] > max(rooms[number].minor, _awarded(verdict)):
                self._runs[number].purse.refuse(wanted[number] - _awarded(verdict), at)
        return fitted

    def _account(self, run: Run, arm: str, effect: Effect, event: Event) -> Account:
        key = (run.plan.promotion_id, effect.role, effect.party_id, effect.window)
        account = self._accounts.get(key)
        if account is None:
            party = event.party(effect.role)
            assert party is not None
            tally = run.tallies.get(key[1:3])
            if tally is None:
                tally = run.tallies[key[1:3]] = Tally(party.party_id, party.region, party.segments)
            account = self._accounts[key] = Account(run, key, arm, event.merchant.region, tally)
            account.award_minor = effect.amount_minor
        return account

    def _move(self, touch: Touch, event: OpenEvent, at: datetime) -> None:
        """Bring an account level with how an event stands now."""
        account = touch.account
        ended = event.settled_at
        if ended is not None and ended != at and is_final(int((at - ended).total_seconds()), account.side.side.reward):
            return
        promised = account.run.measured(touch, event)
        settled = promised if event.standing == "settled" else 0
        if promised != touch.promised or settled != touch.settled:
            account.move(touch, promised, settled, event.buyer_id)
            self._grant(account, event.merchant_id, at)

    def _grant(self, account: Account, merchant_id: int, at: datetime) -> None:
        """Hold and grant what an account is entitled to now, as far as the budgets go."""
        run, held, granted = account.run, account.held, account.granted_minor
        elsewhere = (
            account.used_elsewhere(self._used.get(account.who, NOTHING_USED)) if run.has_lifetime else NOTHING_USED
        )
        target = account.target(elsewhere)
        change = target.available_minor + target.pending_minor - held
        if change > 0:
            account.held += run.purse.take(change, at, account.region, account.takings)
        elif change < 0:
            run.purse.give_back(-change, account.takings)
            account.held += change
        now = account.granted_minor = min(target.available_minor, account.held)
        if run.has_lifetime:
            grants = elsewhere.grants + (account.held > 0)
            self._used[account.who] = Used(grants=grants, minor=elsewhere.minor + account.held)
        if account.held != held or now != granted:
            day = at.astimezone(run.zone).date()
            sums = run.days[day]
            sums[0] += account.held - held
            sums[1 if now > granted else 2] += abs(now - granted)
            run.burned[merchant_id][day] += account.held - held

    def _forget(self, event_id: str) -> None:
        """An event has become final; with it, the window that was its own."""
        for touch in self._open.pop(event_id).touches:
            if touch.account.run.plan.per_event:
                self._close(self._accounts.pop(touch.account.key))

    def _close(self, account: Account) -> None:
        run = account.run
        if not 0 <= account.granted_minor <= account.held or account.settled > account.promised:
            run.breaches.append(f"{account.key}: granted {account.granted_minor}, held {account.held}")
        if not (account.held or account.promised):
            return  # as if it had never been
        run.cost += account.held
        run.grants += account.granted_minor > 0
        run.measures[account.arm, account.side_no][account.promised] += 1
        account.tally.measured += account.promised
        account.tally.granted_minor += account.granted_minor
        grant = _grant_of(account)
        text = "|".join(map(str, msgspec.structs.astuple(grant)))
        run.digest = (run.digest + int.from_bytes(sha256(text.encode()).digest())) % _DIGESTS
        if self._sink is not None:
            self._sink(grant)


def _grant_of(account: Account) -> Grant:
    promotion_id, role, party_id, window = account.key
    return Grant(
        promotion_id=promotion_id,
        role=role,
        party_id=party_id,
        window=window,
        arm=account.arm,
        granted_minor=account.granted_minor,
        held_minor=account.held,
        promised=account.promised,
        settled=account.settled,
    )


def _awarded(verdict: Verdict) -> int:
    return sum(effect.amount_minor or 0 for effect in verdict.effects)


def _answer(run: Run, volume: dict[int, list[int]]) -> Answer:
    days = [
        Day(day=day, burned_minor=burned, granted_minor=granted, clawed_minor=clawed)
        for day, (burned, granted, clawed) in sorted(run.days.items())
    ]
    exhausted_at = run.purse.exhausted_at
    breaches = run.breaches + run.purse.overdrawn()
    if sum(day.burned_minor for day in days) != run.cost:
        breaches.append("what burned on all days is not what is held")
    replayed = Replayed(
        promotion_id=run.plan.promotion_id,
        version=run.plan.version,
        events=run.events,
        grants=run.grants,
        granted_minor=sum(tally.granted_minor for tally in run.tallies.values()),
        cost_minor=run.cost,
        clawed_minor=sum(day.clawed_minor for day in days),
        refused_minor=run.purse.refused_minor,
        exhausted_on=None if exhausted_at is None else exhausted_at.astimezone(run.zone).date(),
        barred=run.barred,
        shared=run.shared,
        held_out=run.held_out,
        days=tuple(days),
        gains=gains_of(run.tallies.values()),
        breaches=tuple(breaches),
        digest=f"{run.digest:064x}",
    )
    standings = Standings(measures=dict(run.measures), burned=dict(run.burned), volume=volume)
    return Answer(replayed, standings)
