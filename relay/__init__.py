"""The ITSM webhook relay: takes resolution webhooks, keeps them durably, and pushes them to HCL IEM."""

__version__ = "0.1.0"
