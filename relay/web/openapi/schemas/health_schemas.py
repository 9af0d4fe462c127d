"""What the probes answer (draft-inadarei-api-health-check)."""

from __future__ import annotations

from relay.web.openapi.members import count, flag, moment, number, one, several, text
from relay.web.openapi.schemas.answer_schema import AnswerSchema


class AliveSchema(AnswerSchema):
    """The process serves."""

    status = text("`pass`, or there is no answer", choices=("pass",))


class CheckSchema(AnswerSchema):
    """What one check found."""

    status = text("`warn`: look at it; webhooks are accepted all the same", choices=("pass", "warn", "fail"))
    time = moment("when it was looked at")
    componentType = text("what kind of thing it is", optional=True)  # noqa: N815 - the draft's name
    output = text("what is wrong, or what is promised", optional=True)
    observedUnit = text("what `observedValue` counts", optional=True)  # noqa: N815 - the draft's name


class RedisCheckSchema(CheckSchema):
    """Whether Redis takes writes, and what it promises."""

    appendonly = flag("whether it keeps an append-only file", null=True, optional=True)
    appendfsync = text("when that is synced to disk", null=True, optional=True)
    maxmemory_policy = text(
        "what it drops when it is full; anything but `noeviction` loses webhooks", null=True, optional=True
    )
    memory_used_bytes = count("what it uses", null=True, optional=True)
    maxmemory_bytes = count("what it may use; 0: no limit", null=True, optional=True)


class MappingsCheckSchema(CheckSchema):
    """Whether there are mapping files to go by."""

    observedValue = count("usable integrations", optional=True)  # noqa: N815 - the draft's name


class WorkersCheckSchema(CheckSchema):
    """Whether workers make progress."""

    observedValue = number("age of the youngest heartbeat", null=True, optional=True)  # noqa: N815 - the draft's name
    pending = count("deliveries on their way", optional=True)
    oldest_pending_s = number("age of the oldest of those that are not parked", null=True, optional=True)


class JournalCheckSchema(CheckSchema):
    """Whether the intake journal takes over where Redis is away."""

    observedValue = count("webhooks that wait in it", optional=True)  # noqa: N815 - the draft's name
    oldest_s = number("age of the oldest of them", optional=True)


class ChecksSchema(AnswerSchema):
    """One entry per check; each is a list of one."""

    redis = several(RedisCheckSchema, "the store")
    mappings = several(MappingsCheckSchema, "the mapping files")
    workers = several(WorkersCheckSchema, "the workers of all machines")
    journal = several(JournalCheckSchema, "the intake journal of this machine")


class HealthSchema(AnswerSchema):
    """Whether this process can accept webhooks; its `status` is the worst of its checks'."""

    status = text("`fail` goes with 503: take the process out of the balancer", choices=("pass", "warn", "fail"))
    checks = one(ChecksSchema, "what was looked at")
