"""Mails that wait, put into words in their reader's language and handed to a sender, with no transaction open."""

import structlog

from marketplace.core.db import WORKER, Database
from marketplace.core.people import links, mails
from marketplace.core.people.mails import Mail
from marketplace.core.people.senders import Message, Sender
from marketplace.web.i18n import speech

_AT_ONCE = 20
_PATHS = {"invitation": "/join", "reset": "/reset/new"}
"""The pages that links of each kind lead to."""

NOTICE = "notice"
"""Mails that tell of an event: `facts` names its words and the page that shows it."""

log = structlog.get_logger(__name__)


async def send_mails(db: Database, actor: str, send: Sender, base: str) -> int:
    """Send what is due; returns how many were sent. base: what links begin with.

    A mail may go out twice when a worker dies in between: each has a token of its own, and both open the link.
    """
    sent = 0
    while waiting := await db.write(WORKER, actor, mails.claim_mails, _AT_ONCE):
        for mail in waiting:
            message = await _written(db, actor, mail, base)
            try:
                await send(message)
            except OSError as fault:
                log.warning("mail not sent", mail_id=mail.mail_id, error=repr(fault))
                await db.write(WORKER, actor, mails.note_failed, mail, repr(fault))
            else:
                sent += 1
                await db.write(WORKER, actor, mails.note_sent, mail.mail_id)
    return sent


async def _written(db: Database, actor: str, mail: Mail, base: str) -> Message:
    facts = dict(mail.facts)
    if mail.link_id is not None:
        token = await db.write(WORKER, actor, links.new_token, mail.link_id)
        facts["link"] = f"{base}{_PATHS[mail.kind]}?token={token}"
    say = speech(mail.locale)
    if mail.kind == NOTICE:
        facts = {"what": say.label("notice", facts["notice"]), "link": f"{base}{facts['path']}"}
    subject, text = say.label("mail_subject", mail.kind), say.label("mail_text", mail.kind, **facts)
    return Message(str(mail.mail_id), mail.recipient, subject, text)
