"""The bodies of the publish service (guide section 5): their kinds, paths, and fields as the guide spells them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypedDict


class Publication(StrEnum):
    """A kind of body."""

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
    """An event (guide section 5, allevents) or a metric: all values are texts. Times are ISO 8601 with milliseconds and Z."""

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
    """The parent of an entity; an empty text if it has none."""

    parententity: str


class Entity(TypedDict):
    """An entity of the topology. `custcol` has Category, Location and any other texts."""

    custcol: Mapping[str, str]
    entityid: str
    topology: Parent
    envcustomer_id: str
    createdon: str


class EntityOfService(TypedDict):
    """An entity that a service depends on."""

    entityid: str


class ParentService(TypedDict):
    """A service that another service is part of."""

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
