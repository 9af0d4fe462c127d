"""How integrations stand, and the statistics of all of them."""

from __future__ import annotations

from marshmallow import fields

from relay.web.openapi.members import count, moment, several, text
from relay.web.openapi.schemas.answer_schema import AnswerSchema


class CountsSchema(AnswerSchema):
    """What an integration has waiting."""

    pending = count("deliveries on their way")
    oldest_pending_at = moment("when the oldest of them was accepted", null=True)
    retrying = count("deliveries that wait for a retry")
    dead = count("dead letters")
    rejections = count("webhooks that could not be mapped")
    lookups_waiting = count("resolvers to be looked up in Virima")
    lookups_parked = text("why Virima is left alone, if it is", null=True)


class IntegrationSchema(CountsSchema):
    """One mapping file and how its deliveries get on."""

    name = text("the mapping file's name")
    status = text("how it stands", choices=("flowing", "parked", "disabled", "broken", "removed"))
    reason = text("why it is parked", null=True)
    since = moment("since when", null=True)
    next_probe_at = moment("when IEM is tried again", null=True)
    parked_by = text("who parked it by hand", null=True)
    parked_why = text("what they said", null=True)
    source = text("the ITSM tool: `servicenow` or `service-exchange`", null=True)
    description = text("what the mapping file says of it", null=True)
    iem_customer_id = text("whom IEM knows it by", null=True)
    iem_integration_id = text("and which integration", null=True)
    mapping = text("the version of the mapping file that is at work", null=True)
    file = text("where that file is", null=True)
    faults = several(fields.String(), "what is wrong with the file as it is now")
    faults_since = moment("since when", null=True)


class IntegrationListSchema(AnswerSchema):
    """All integrations; there is one page of them."""

    items = several(IntegrationSchema, "all of them, by name")
    next_cursor = text("always null", null=True)


class BacklogSchema(CountsSchema):
    """What one integration has waiting."""

    integration = text("its name")


class WorkerSchema(AnswerSchema):
    """A worker that was heard of in the last ten minutes."""

    worker = text("its name")
    last_heartbeat_at = moment("when it was heard of last")


class StatsSchema(AnswerSchema):
    """Backlogs and workers."""

    integrations = several(BacklogSchema, "one for each integration")
    workers = several(WorkerSchema, "of all machines")
