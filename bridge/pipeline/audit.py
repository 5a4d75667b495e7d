"""The record as FHIR: AuditEvents in the shapes of IHE Basic Audit Log Patterns, and Provenance, made from the ledger's facts.

Ids, versions, rule ids and element paths alone: no code, name or text of a record (reference/consent.md 3.1). The same facts
give the same resources under the same ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bridge.consent.terms import ACT_REASON, CONFIDENTIALITY
from bridge.core.rows import DecisionRow, Disclosure, InboxRow
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.reconsider import WITHDRAWAL
from bridge.referral.terms import PARTNER

Resource = dict[str, Any]
BALP = "https://profiles.ihe.net/ITI/BALP"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
TYPES = "http://hl7.org/fhir/resource-types"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
BY_URI = "5"
"""AuditEvent.agent.network.type."""
DIGEST = "urn:sdoh-bridge:sha-256"
"""System of the digest by which a source message can be told from any other."""


def decided(rows: Iterable[DecisionRow], bridge: Bridge) -> Iterator[Resource]:
    """An AuditEvent for each decision: AuthZ-consent when a consent spoke, else a plain security alert, which that profile
    cannot hold; its entities are closed, so the resource decided is named in words."""
    for number, row in enumerate(rows):
        what = f"{row.resource}/_history/{row.version}"
        said = [f"{row.effect} of {what} at {row.stage} by {' '.join(row.rules) or 'default'}"]
        said += [f"without {', '.join(row.redact_paths)}"] if row.redact_paths else []
        said += [f"review {', '.join(row.review)}"] if row.review else []
        entities = _patient(row.patient)
        event = _event("decision", (row.message_id, row.stage, row.at, row.recipient, what, str(number)), row.at, row.purpose, bridge)
        if row.consents and row.patient:
            event["meta"] = {"profile": [f"{BALP}/StructureDefinition/IHE.BasicAudit.AuthZconsent"]}
            event["subtype"] = [{"system": f"{BALP}/CodeSystem/AuthZsubType", "code": "AuthZ-Consent"}]
            entities += _consents(row.consents)
        else:
            entities.append(_resource(what))
        yield {
            **event, "type": {"system": DCM, "code": "110113", "display": "Security Alert"}, "action": "E",
            "outcome": "0" if row.effect != "deny" else "8" if "evaluation-failed" in row.rules else "4", "outcomeDesc": "; ".join(said),
            "agent": [
                _agent(DCM, "110150", _device(bridge), network=_network(bridge)),
                _agent("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP", _partner(row.recipient, bridge), requestor=True),
                _agent("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", _partner(row.recipient, bridge)),
                _agent("http://terminology.hl7.org/CodeSystem/extra-security-role-type", "authserver", _device(bridge)),
            ],
            "source": _source(bridge, "6"), "entity": entities,
        }


def disclosed(rows: Iterable[Disclosure], bridge: Bridge) -> Iterator[Resource]:
    """An AuditEvent for each disclosure, as its source records it (Privacy Disclosure, Source). The news that a consent is
    gone discloses nothing and is no such event."""
    for number, row in enumerate(rows):
        if row.kind == WITHDRAWAL:
            continue
        authorizer = [_agent(SCT, "429577009", {"reference": f"Patient/{row.patient}"}, requestor=True)] if row.consents else []
        recipient = {"address": f"urn:sdoh-bridge:partner:{row.recipient}", "type": BY_URI}
        yield {
            **_event("disclosure", (row.delivery_id, row.at, str(number)), row.at, row.purpose, bridge),
            "meta": {"profile": [f"{BALP}/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source"]},
            "type": {"system": DCM, "code": "110106", "display": "Export"}, "subtype": [{"system": LIFECYCLE, "code": "disclose"}],
            "action": "R", "outcome": "0", "outcomeDesc": f"{row.kind} {row.delivery_id}",
            "agent": [
                _agent(DCM, "110153", _device(bridge), network=_network(bridge)),
                _agent(DCM, "110152", _partner(row.recipient, bridge), network=recipient),
                _agent(SCT, "159541003", {"display": bridge.hospital.name}), *authorizer,
            ],
            "source": _source(bridge, "4"),
            "entity": [*_patient(row.patient), *(_resource(ref, level) for ref, level in _versions(row)), *_consents(row.consents)],
        }


def left_as(rows: Iterable[Disclosure], bridge: Bridge) -> Iterator[Resource]:
    """Provenance of each copy that left: made from which version, by whom, under which consents."""
    for number, row in enumerate(rows):
        if row.kind == WITHDRAWAL:
            continue
        for ref, (what, _) in zip(row.resources, _versions(row), strict=True):
            kind, _, id_ = ref.partition("/")
            copy = bridge.ids.pairwise(row.recipient, kind, id_)
            policy = [f"{bridge.fhir_base}/Consent/{consent.replace('/', '/_history/')}" for consent in row.consents]
            yield {
                "resourceType": "Provenance", "id": bridge.ids.uuid("Provenance", row.delivery_id, ref, str(number)),
                "target": [{"reference": ref if kind in ("Task", "ServiceRequest") else f"{kind}/{copy}"}], "recorded": row.at,
                **({"policy": policy} if policy else {}),
                "activity": {"coding": [{"system": LIFECYCLE, "code": "deidentify" if ref in row.redacted else "transform"}]},
                "agent": [_assembler(bridge), _author({"display": bridge.hospital.name})],
                "entity": [{"role": "revision", "what": {"reference": what}}],
            }


def produced(row: InboxRow, bridge: Bridge) -> Resource | None:
    """Provenance of everything that one message or record gave; None when it gave nothing."""
    outputs = [(f"{kind}/{id_}", stored["meta"]["versionId"]) for (kind, id_), (stored, _) in bridge.ledger.outputs(row.envelope.id).items()
               if kind != "Provenance"]
    if not outputs:
        return None
    digest = hashlib.sha256(row.envelope.body).hexdigest()
    return {
        "resourceType": "Provenance", "id": bridge.ids.uuid("Provenance", row.envelope.id),
        "target": [{"reference": f"{ref}/_history/{version}"} for ref, version in sorted(outputs)],
        "recorded": row.envelope.received.isoformat(), "activity": {"coding": [{"system": LIFECYCLE, "code": "transform"}]},
        "agent": [_assembler(bridge), _author({"display": row.envelope.feed or row.source or "unknown sender"})],
        "entity": [{"role": "source", "what": {"identifier": {"value": row.control_id or row.envelope.id}}},
                   {"role": "source", "what": {"identifier": {"system": DIGEST, "value": digest}}}],
    }


def _event(kind: str, key: Sequence[str], at: str, purpose: str, bridge: Bridge) -> Resource:
    return {"resourceType": "AuditEvent", "id": bridge.ids.uuid("AuditEvent", kind, *key), "recorded": at,
            "purposeOfEvent": [{"coding": [{"system": ACT_REASON, "code": purpose}]}]}


def _device(bridge: Bridge) -> Resource:
    """This bridge, the same wherever it is named (BALP val-audit-source)."""
    return {"type": "Device", "identifier": {"system": "urn:sdoh-bridge:site", "value": bridge.fhir_base}, "display": "sdoh-bridge"}


def _partner(id_: str, bridge: Bridge) -> Resource:
    known = bridge.partners.get(id_)
    return {"type": "Organization", "identifier": {"system": PARTNER, "value": id_}, **({"display": known.name} if known else {})}


def _network(bridge: Bridge) -> Resource:
    return {"address": bridge.fhir_base, "type": BY_URI}


def _source(bridge: Bridge, kind: str) -> Resource:
    """`kind` of security-source-type: 4 application server, 6 security server."""
    return {"site": bridge.hospital.name, "observer": _device(bridge),
            "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": kind}]}


def _agent(system: str, code: str, who: Resource, *, requestor: bool = False, network: Resource | None = None) -> Resource:
    return {"type": {"coding": [{"system": system, "code": code}]}, "who": who, "requestor": requestor, **({"network": network} if network else {})}


def _patient(patient: str) -> list[Resource]:
    person = {"what": {"reference": f"Patient/{patient}"}, "type": {"system": ENTITY, "code": "1"}, "role": {"system": ROLE, "code": "1"}}
    return [person] if patient else []


def _resource(what: str, level: str = "") -> Resource:
    labels = {"securityLabel": [{"system": CONFIDENTIALITY, "code": level}]} if level else {}
    return {"what": {"reference": what}, "type": {"system": ENTITY, "code": "2"}, "role": {"system": ROLE, "code": "4"}, **labels}


def _consents(names: Iterable[str]) -> list[Resource]:
    """Consents by their `id/version`."""
    return [{"what": {"reference": f"Consent/{name.replace('/', '/_history/')}"}, "type": {"system": TYPES, "code": "Consent"}} for name in names]


def _versions(row: Disclosure) -> list[tuple[str, str]]:
    """(`Type/id/_history/version`, confidentiality) of each resource; what was written down before versions were has neither."""
    levels = row.confidentiality or ("",) * len(row.resources)
    if not row.versions:
        return list(zip(row.resources, levels, strict=True))
    return [(f"{ref}/_history/{version}", level) for ref, version, level in zip(row.resources, row.versions, levels, strict=True)]


def _assembler(bridge: Bridge) -> Resource:
    return {"type": {"coding": [{"system": PARTICIPANT, "code": "assembler"}]}, "who": _device(bridge)}


def _author(who: Resource) -> Resource:
    return {"type": {"coding": [{"system": PARTICIPANT, "code": "author"}]}, "who": who}
