"""Bounded HTTP exchanges with the services that the relay calls: the only room that knows requests and urllib3."""
