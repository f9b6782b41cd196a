"""People with an account. The model for every other feature: the same file names, the same division of work.

router (HTTP) → service (rules, SQL) → models (tables); schemas says what goes in and out.
"""
