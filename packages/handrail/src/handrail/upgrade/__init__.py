"""The only way in which a database changes: one process at a time, never in the way, never half-done.

migrate       look, gate, turn, steps, verification: what `alembic upgrade`, `downgrade` and `stamp` do
steps         running them one by one, again where others are in the way, each recorded with its version
task          what the command was told, and what it has read
at_head       the one question that most upgrades come down to
server        waiting for one that is not there yet
turn          whose turn it is: a lock that is asked for again and again, never waited for
session       what the migrating session promises the others on the server
bundle        many revisions in one message, from the beginning of a database
lost          what the server did when the connection was lost
patience      trying again what others blocked
progress      how far a revision came that cannot be one transaction
invalid       indexes that no query uses
interrupted   revisions of which a part is there
unfinished    what an interrupted statement left behind
journal       what was done to this database, when, by whom, and what it looked like afterwards
versions      whether the version table can be believed
standing      where a database stands, for somebody who asks
drift         what was changed by hand since the last migration
touched       whether that stands in the way of the pending revisions
watch         who blocks us, and how far an index is, seen from another session
"""
