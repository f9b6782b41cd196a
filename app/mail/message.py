"""Make mails: from a template to subject and text, and from there to a message with an HTML form."""

import re
from email.message import EmailMessage
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from app.mail.models import Mail

LAYOUT = Template((Path(__file__).parent / "layout.html").read_text(encoding="utf-8"))


@cache
def _template(path: Path) -> Template:
    return Template(path.read_text(encoding="utf-8"))


def fill(path: Path, **values: str) -> tuple[str, str]:
    """Return subject and text of a template: its first line, which holds nothing typed, and what comes after it."""
    subject, _, body = _template(path).substitute(values).partition("\n\n")
    return subject, body


def compose(mail: Mail, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, mail.recipient, mail.subject
    # The same at every attempt, so that a receiver can tell a repetition. Its time is that of the row.
    message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Date"] = mail.created_at
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.body)
    message.add_alternative(_as_html(mail), subtype="html")
    return message


def _as_html(mail: Mail) -> str:
    # Escaped before links are made: names are what somebody has typed.
    paragraphs = [escape(paragraph).replace("\n", "<br>\n") for paragraph in mail.body.strip().split("\n\n")]
    linked = (re.sub(r"https?://[^\s<]+", r'<a href="\g<0>">\g<0></a>', paragraph) for paragraph in paragraphs)
    return LAYOUT.substitute(subject=escape(mail.subject), body="\n".join(f"<p>{text}</p>" for text in linked))
