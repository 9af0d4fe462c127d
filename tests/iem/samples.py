"""An example of each body from IEM's guide (section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.iem.publish_bodies import Publication

_EVENT: dict[str, Any] = {
    "parametercategory": "Availability",
    "parametertype": "Service",
    "parametername": "Ping",
    "parameterid": "ping",
    "severity": "4",
    "description": "db01 does not answer",
    "messages": "no answer for 5 minutes",
    "entity": "db01",
    "entityid": "db01.example.com",
    "mappedentityid": "db01.example.com",
    "agentlocation": "Chennai",
    "createdon": "2026-11-22T10:20:30.000Z",
    "toolmanager": "Nagios",
    "manageragent": "nagios01",
    "datasourcename": "nagios",
    "toolcustomerid": "1",
    "createdby": "nagios",
    "envcustomerid": "ACME",
    "toolcustomername": "ACME",
    "ieventid": "4711",
    "firstoccurrence": "2026-11-22T10:15:30.000Z",
    "splitby": "ACME_db01_ping",
}
SAMPLES: Mapping[Publication, dict[str, Any]] = {
    Publication.EVENTS: _EVENT,
    Publication.METRICS: {**_EVENT, "parametertype": "Metric", "messages": "12"},
    Publication.ENTITY: {
        "custcol": {"Category": "Server", "Location": "Chennai", "Owner": "Operations"},
        "entityid": "db01.example.com",
        "topology": {"parententity": "rack7"},
        "envcustomer_id": "ACME",
        "createdon": "2026-11-22T10:20:30.000Z",
    },
    Publication.SERVICE: {
        "servicename": "Payroll",
        "service_entity_mapping": [{"entityid": "db01.example.com"}],
        "service_topology": [{"parentservicename": "Finance"}],
        "envcustomer_id": "ACME",
    },
    Publication.HEALTHCHECK: {
        "host": "nagios01",
        "envcustomer_id": "ACME",
        "kpi_name": "heartbeat",
        "kpi_type": "heartbeat",
        "status": "Green",
        "value": "1",
        "description": "the adaptor runs",
        "remark": "",
        "timestamp": "2026-11-22 10:20:30.000",
        "updatetimestamp": "2026-11-22 10:20:30.000",
        "updateid": "1",
        "additional_info": "{}",
    },
}
