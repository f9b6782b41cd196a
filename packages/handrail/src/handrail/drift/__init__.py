"""Manual edits: seen, named, and resolved in either direction.

find          how a database differs from what its migrations left behind
report        for people and machines
statements    the differences as SQL, rights included
"""
