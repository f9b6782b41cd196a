"""Manual edits: seen, named, and resolved in either direction.

find          how a database differs from what its migrations left behind
report        for people and machines
statements    differences as SQL
rights        owners and privileges as SQL
units         differences one after the other, each by itself
renamed       what has only another name
already       conditions that say whether a difference is made already
adopt         one way out: a revision for all other databases
revert        the other: what undoes the edit in this one
baseline      a database that came about in another way
mention       drift in one line, beside other work
models        which edit of the models goes with it
"""
