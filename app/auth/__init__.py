"""Accounts and sessions: how people prove who they are. To do without, delete this folder and its two lines in main.py.

router → accounts, sessions (HTTP, rules, SQL) → links → passwords, throttle, models. The rules: docs/accounts.md.
"""
