"""A dispatcher's shift, as a 96333 centre's client would do it with grpcio from the files in `proto/`.

    shift.py HOST:PORT DEVICE ACCEPT_S OUTAGE_S FOLDER-OF-GENERATED-MODULES

It tells what it sees as one JSON object a line, with what it did in `step`. A `step` of `do` asks whoever started it to do
what `what` says to the world around it, and waits for a line on standard input.
"""

import json
import queue
import sys
import threading
import time

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

server, device, generated = sys.argv[1], sys.argv[2], sys.argv[5]
accept_s, outage_s = float(sys.argv[3]), float(sys.argv[4])
sys.path.insert(0, generated)
from vigil.v1 import alert_pb2 as alert  # noqa: E402
from vigil.v1 import alert_pb2_grpc, common_pb2, dispatch_pb2_grpc, registry_pb2_grpc  # noqa: E402
from vigil.v1 import dispatch_pb2 as dispatch  # noqa: E402
from vigil.v1 import registry_pb2 as registry  # noqa: E402

PATIENCE_S = 60
# While the service is gone, a call waits for it and is tried again under the same request id.
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
OPTIONS = [("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50)]

channel = grpc.insecure_channel(server, options=OPTIONS)
centre = dispatch_pb2_grpc.DispatchServiceStub(channel)


def tell(step, **what):
    told = {name: MessageToDict(value) if hasattr(value, "DESCRIPTOR") else value for name, value in what.items()}
    print(json.dumps({"step": step, **told}), flush=True)


def do(what):
    tell("do", what=what)
    sys.stdin.readline()


def again(call, request):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call(request, timeout=5)
        except grpc.RpcError as error:
            if error.code() not in AWAY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class Watcher:
    """Everything that a stream tells, in order, across reconnects by its cursor."""

    def __init__(self, call, request, cursor=None):
        self.events, self.arrived = [], queue.Queue()
        self.call, self.request, self.cursor = call, request, cursor
        self.begun = threading.Event()
        threading.Thread(target=self.follow, daemon=True).start()
        assert self.begun.wait(PATIENCE_S)

    def follow(self):
        while True:
            try:
                for message in self.call(self.request(self.cursor)):
                    if message.WhichOneof("message") == "heartbeat":
                        self.cursor = message.heartbeat.scanned
                        self.begun.set()
                        continue
                    event = message.event
                    self.cursor = common_pb2.Cursor(epoch=event.epoch, seq=event.seq)
                    self.events.append(event)
                    self.arrived.put((time.monotonic(), event))
            except grpc.RpcError:
                time.sleep(0.05)

    def next(self, wanted):
        """The next event that is wanted, and when it was heard; those before it are passed over."""
        while True:
            heard, event = self.arrived.get(timeout=PATIENCE_S + accept_s)
            if wanted(event):
                return heard, event


def watch_incidents(cursor=None):
    return Watcher(centre.WatchIncidents, lambda cursor: dispatch.WatchIncidentsRequest(cursor=cursor), cursor)


def kind(name):
    value = dispatch.IncidentEventKind.Value(f"INCIDENT_EVENT_KIND_{name}")
    return lambda event: event.kind == value


requests = 0


def step(name, of=None, **more):
    global requests
    requests += 1
    value = dispatch.IncidentStep.Value(f"INCIDENT_STEP_{name}")
    request = dispatch.AdvanceIncidentRequest(request_id=f"s{requests}", incident_id=of or incident, step=value, **more)
    answer = again(centre.AdvanceIncident, request)
    assert again(centre.AdvanceIncident, request).position == answer.position, "the same again changes nothing"
    return answer.incident


def refused(name, **more):
    try:
        step(name, **more)
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}


def archive():
    lift = registry.Lift(code=device, district="640104", address="1 Renmin Road", rescue_code="640001", firm="F1")
    yield registry.UpsertDevicesRequest(request_id="archive", firm=registry.Firm(id="F1", name="first firm", phone="1"))
    yield registry.UpsertDevicesRequest(lift=lift)


registry_pb2_grpc.RegistryServiceStub(channel).UpsertDevices(archive())
first = watch_incidents()
alerts = Watcher(alert_pb2_grpc.AlertServiceStub(channel).WatchAlerts, lambda cursor: alert.WatchAlertsRequest(cursor=cursor))

do("trap")
_, received = first.next(kind("RECEIVED"))
incident = received.incident_id
tell("received", event=received)
call = dispatch.OpenIncidentRequest(request_id="call", rescue_code="640001", caller=dispatch.Caller(phone="139"))
tell("called", same=again(centre.OpenIncident, call).incident.id == incident)

commanded_at = time.monotonic()
step("COMMAND", tier=dispatch.TIER_FIRM)
time.sleep(accept_s * 2 / 3)
do("kill")
heard, unanswered = alerts.next(lambda event: event.alert.rule == "tier-unanswered")
tell("unanswered", after_s=heard - commanded_at, event=unanswered)

do("stop the database")
stopped_at = time.monotonic()
tell("impossible", **refused("TURN_OUT"))
# Somebody else calls, about a lift that nobody knows; nothing of that needs the database, either.
plate = dispatch.OpenIncidentRequest(request_id="plate", rescue_code="999999", address="a hall", occupied=True)
opened = again(centre.OpenIncident, plate)
other = opened.incident.id
first.next(lambda event: event.incident_id == other)
step("NOTE", of=other, note="says that he is a lift")
step("COMMAND", of=other, tier=dispatch.TIER_PUBLIC)
step("ACCEPT", of=other)
step("HAND_OVER", of=other, tier=dispatch.TIER_STATION, party_id="6401-GRID")
step("DECLINE", of=other)
step("FALSE_ALARM", of=other)
step("COMMAND", tier=dispatch.TIER_STATION)
step("ACCEPT")
step("TURN_OUT")
step("ARRIVE")
do("free")
first.next(lambda event: event.incident.sensors_say_over)
listed = again(centre.ListIncidents, dispatch.ListIncidentsRequest()).incidents
tell("listed", incidents=[MessageToDict(it) for it in listed])
step("FREE")
ending = {"cause": dispatch.INCIDENT_CAUSE_DOOR, "action": "door freed by hand"}
tell("unfinished", **refused("CLOSE", ending=dispatch.IncidentEnding(**ending)))
closed = step("CLOSE", ending=dispatch.IncidentEnding(persons_freed=2, **ending))
tell("closed", incident=closed)
first.next(kind("CLOSED"))

# Whoever comes later, with the cursor that the first one began with, misses nothing.
second = watch_incidents(common_pb2.Cursor(epoch=received.epoch, seq=received.seq - 1))
second.next(kind("CLOSED"))
numbers = [(event.epoch, event.seq) for event in second.events]
tell(
    "resumed",
    seqs=[seq for _, seq in numbers],
    kinds=[event.kind for event in second.events],
    same=numbers == [(event.epoch, event.seq) for event in first.events],
    previous=[event.previous_seq for event in second.events],
)

# The database is away for as long as was asked for, or as all of this took.
time.sleep(max(0, stopped_at + outage_s - time.monotonic()))
tell("outage", lasted_s=time.monotonic() - stopped_at)
do("start the database")
tell("repeated", same=again(centre.OpenIncident, plate).position == opened.position)
now = int(time.time())
asked = dispatch.GetKpisRequest(**{"from": Timestamp(seconds=now - 7200), "to": Timestamp(seconds=now + 7200)})
deadline = time.monotonic() + PATIENCE_S
while (figures := again(centre.GetKpis, asked)).persons_freed == 0 and time.monotonic() < deadline:
    time.sleep(0.1)
whole = [again(centre.GetIncident, dispatch.GetIncidentRequest(incident_id=it)) for it in (incident, other)]
timelines = [[MessageToDict(entry) for entry in it.timeline] for it in whole]
past = again(centre.QueryIncidents, dispatch.QueryIncidentsRequest(**{"from": getattr(asked, "from"), "to": asked.to}))
tell("figures", kpis=figures, timelines=timelines, past=[it.id for it in past.incidents] == [incident, other])
