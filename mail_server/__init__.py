"""The way of a message: doors, delivery, sealing, store. Knows `directory` and `policies`."""
