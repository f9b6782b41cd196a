"""How people prove who they are: accounts (what people do) → links → sessions → passwords, throttle → models."""
