"""Accounts and sessions: how people prove who they are. To do without, delete this folder and its two lines in main.py.

router (HTTP) → accounts, sessions (rules, SQL) → passwords, throttle, models. What the rules are: docs/accounts.md.
"""
