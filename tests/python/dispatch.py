"""A dispatch centre's client, as one would write it with grpcio from the files in `proto/`.

    dispatch.py HOST:PORT DEVICE FOLDER-OF-GENERATED-MODULES

It tells what it sees as one JSON object a line, with what it did in `step`.
"""

import json
import sys
import time

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

server, device, generated = sys.argv[1:4]
sys.path.insert(0, generated)
from vigil.v1 import alert_pb2 as alert  # noqa: E402
from vigil.v1 import alert_pb2_grpc, history_pb2_grpc  # noqa: E402
from vigil.v1 import history_pb2 as history  # noqa: E402

PATIENCE_S = 30


def tell(step, **what):
    told = {name: MessageToDict(value) if hasattr(value, "DESCRIPTOR") else value for name, value in what.items()}
    print(json.dumps({"step": step, **told}), flush=True)


def until(look):
    """History follows alerts by moments, so it is asked again until it has what `look` wants."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(look.__name__)
        time.sleep(0.05)
    return found


def around_now():
    now = time.time()
    return {"from": Timestamp(seconds=int(now) - 3600), "to": Timestamp(seconds=int(now) + 3600)}


channel = grpc.insecure_channel(server)
alerts = alert_pb2_grpc.AlertServiceStub(channel)
records = history_pb2_grpc.HistoryServiceStub(channel)


def next_event(kind):
    for message in stream:
        if message.WhichOneof("message") == "event" and message.event.alert.subject == device:
            if message.event.kind == kind and message.event.alert.rule == "trapped-reported":
                return message.event


def frames():
    request = history.QueryFramesRequest(device=device, **around_now())
    found = [stored for page in records.QueryFrames(request) for stored in page.frames]
    return found if len(found) >= 2 else None


def timeline(has):
    request = history.GetTimelineRequest(subject=device, **around_now())

    def look():
        items = records.GetTimeline(request).items
        return items if any(has(item) for item in items) else None

    return until(look)


def serves(service):
    """Once it is told so; the health service follows readiness within a second."""
    watched = health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)
    return any(state.status == health_pb2.HealthCheckResponse.SERVING for state in watched)


health = health_pb2_grpc.HealthStub(channel)
names = ["", "vigil.v1.AlertService", "vigil.v1.HistoryService", "vigil.v1.RegistryService"]
tell("health", serving=[name for name in names if serves(name)])

reflected = ProtoReflectionDescriptorDatabase(channel)
described = reflected.FindFileContainingSymbol("vigil.v1.AlertService")
methods = [method.name for service in described.service for method in service.method]
tell("reflection", services=sorted(reflected.get_services()), methods=methods)

stream = alerts.WatchAlerts(alert.WatchAlertsRequest(filter=alert.AlertFilter(subjects=[device])))
tell("watching", heartbeat=next(stream).heartbeat)

opened = next_event(alert.ALERT_EVENT_KIND_OPENED)
tell("opened", event=opened)

listed = alerts.ListAlerts(alert.ListAlertsRequest(filter=alert.AlertFilter(rules=["trapped-reported"])))
tell("listed", ids=[found.id for found in listed.alerts])

request = alert.AcknowledgeAlertRequest(request_id="first", alert_id=opened.alert.id, note="two people, calm")
answer = alerts.AcknowledgeAlert(request)
tell("answer", position=answer.position, again=alerts.AcknowledgeAlert(request).position, alert=answer.alert)
try:
    alerts.AcknowledgeAlert(alert.AcknowledgeAlertRequest(request_id="second", alert_id=f"{device}/trapped-reported/2"))
except grpc.RpcError as refusal:
    tell("refusal", code=refusal.code().name, details=refusal.details())
tell("acknowledged", event=next_event(alert.ALERT_EVENT_KIND_ACKNOWLEDGED))

tell("frames", frames=[MessageToDict(frame) for frame in until(frames)])
items = timeline(lambda item: item.alert_event.kind == alert.ALERT_EVENT_KIND_ACKNOWLEDGED)
tell("timeline", items=[MessageToDict(item) for item in items])

tell("cleared", event=next_event(alert.ALERT_EVENT_KIND_CLEARED))
items = timeline(lambda item: item.WhichOneof("item") == "status" and not item.status.online)
tell("gone", items=[MessageToDict(item) for item in items])
