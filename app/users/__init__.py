"""People with an account, and the model for other features: router (HTTP) → service (rules, SQL) → models, schemas."""
