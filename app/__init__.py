"""The service. Start reading at `main.py`; `users/` is the feature that others are modelled on."""
