"""What the publish service takes (guide section 5): which bodies there are, where each goes, and their fields as spelt there."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypedDict


class Publication(StrEnum):
    """What can be published."""

    EVENTS = "events"
    METRICS = "metrics"
    ENTITY = "entity"
    SERVICE = "service"
    HEALTHCHECK = "healthcheck"


PATHS: Mapping[Publication, str] = {
    Publication.EVENTS: "/publish/allevents/",
    Publication.METRICS: "/publish/metrics/",
    Publication.ENTITY: "/publish/entity/",
    Publication.SERVICE: "/publish/service/",
    Publication.HEALTHCHECK: "/publish/healthcheck/",
}


class Event(TypedDict):
    """An event (guide 5, allevents), and a metric likewise: all texts. Times are ISO 8601 with milliseconds and Z."""

    parametercategory: str
    parametertype: str
    parametername: str
    parameterid: str
    severity: str
    description: str
    messages: str
    entity: str
    entityid: str
    mappedentityid: str
    agentlocation: str
    createdon: str
    toolmanager: str
    manageragent: str
    datasourcename: str
    toolcustomerid: str
    createdby: str
    envcustomerid: str
    toolcustomername: str
    ieventid: str
    firstoccurrence: str
    splitby: str


class Parent(TypedDict):
    """Below which entity another one stands; an empty text: below none."""

    parententity: str


class Entity(TypedDict):
    """An entity of the topology. `custcol` has Category, Location and whatever else, all texts."""

    custcol: Mapping[str, str]
    entityid: str
    topology: Parent
    envcustomer_id: str
    createdon: str


class EntityOfService(TypedDict):
    """One of the entities that a service stands on."""

    entityid: str


class ParentService(TypedDict):
    """A service that another one is a part of."""

    parentservicename: str


class Service(TypedDict):
    """A service of the topology."""

    servicename: str
    service_entity_mapping: list[EntityOfService]
    service_topology: list[ParentService]
    envcustomer_id: str


class AdaptorHealth(TypedDict):
    """The health of an adaptor. Times are `YYYY-MM-DD HH:MM:SS.mmm`; `additional_info` is a JSON object in a text."""

    host: str
    envcustomer_id: str
    kpi_name: str
    kpi_type: str
    status: str
    value: str | float
    description: str
    remark: str
    timestamp: str
    updatetimestamp: str
    updateid: str
    additional_info: str
