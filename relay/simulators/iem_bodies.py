"""The bodies that the simulated IEM accepts, field by field: push and publish (IEM guide sections 4 and 5)."""

from collections.abc import Mapping
from dataclasses import dataclass

from relay.simulators.shape import (
    Check,
    filled,
    integer,
    items,
    json_text,
    members,
    pattern,
    text,
    text_or_number,
)

_ISO = pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "2025-01-31T12:00:00.000Z")
_STAMP = pattern(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "2025-01-31 12:00:00.000")
_SPLIT = pattern(r".+_.+_.+", "<customer_id>_<entity>_<parameter>")

_EVENT_TEXTS = (
    "parametercategory parametertype parametername parameterid severity description messages entity entityid "
    "mappedentityid agentlocation toolmanager manageragent datasourcename toolcustomerid createdby "
    "envcustomerid toolcustomername ieventid"
)
_EVENT: Mapping[str, Check] = {
    **dict.fromkeys(_EVENT_TEXTS.split(), text),
    "createdon": _ISO,
    "firstoccurrence": _ISO,
    "splitby": _SPLIT,
}
_ENTITY: Mapping[str, Check] = {
    "custcol": members({"Category": text, "Location": text}, more=text),
    "entityid": filled,
    "topology": members({"parententity": text}),
    "envcustomer_id": text,
    "createdon": _ISO,
}
_SERVICE: Mapping[str, Check] = {
    "servicename": filled,
    "service_entity_mapping": items(members({"entityid": filled})),
    "service_topology": items(members({"parentservicename": text})),
    "envcustomer_id": text,
}
_HEALTH_TEXTS = "host envcustomer_id kpi_name kpi_type status description remark updateid"
_HEALTH: Mapping[str, Check] = {
    **dict.fromkeys(_HEALTH_TEXTS.split(), text),
    "value": text_or_number,
    "timestamp": _STAMP,
    "updatetimestamp": _STAMP,
    "additional_info": json_text,
}


@dataclass(frozen=True, slots=True)
class ReceivedPublication:
    """A call of the publish service: its body, and the field with the customer."""

    kind: str
    body: Check
    customer_field: str


PUSH: Check = members({"state": integer, "sysid": filled})

#: By path. As in the guide, the field with the customer is `envcustomerid` for events and metrics, and `envcustomer_id`
#: for the others.
PUBLICATIONS: Mapping[str, ReceivedPublication] = {
    "/publish/allevents/": ReceivedPublication("events", members(_EVENT), "envcustomerid"),
    "/publish/metrics/": ReceivedPublication("metrics", members(_EVENT), "envcustomerid"),
    "/publish/entity/": ReceivedPublication("entity", members(_ENTITY), "envcustomer_id"),
    "/publish/service/": ReceivedPublication("service", members(_SERVICE), "envcustomer_id"),
    "/publish/healthcheck/": ReceivedPublication("healthcheck", members(_HEALTH), "envcustomer_id"),
}
