"""How people prove who they are: routes and rules (accounts, sessions) → links → passwords, throttle → models."""
