"""Harmless lines of load balancers, meshes, clouds, builds and search engines."""

from __future__ import annotations

import json

from tests.corpus.draw import Draw
from tests.corpus.harmless_values import AGENTS, instant, iso, order, ulid, version
from tests.corpus.network import ipv4


def balancers(draw: Draw) -> str:
    """HAProxy, Envoy, Traefik, Caddy, an application load balancer, a flow log, DNS."""
    when, client = instant(draw), ipv4(draw)
    return draw.choice([
        lambda: f"haproxy[{draw.randrange(9999)}]: {client}:{draw.randrange(65536)} [{when:%d/%b/%Y:%H:%M:%S}.{draw.digits(3)}] fe~ be/{draw.words(1)} 0/0/1/{draw.randrange(900)}/{draw.randrange(900)} 200 {draw.randrange(99999)} - - ---- {draw.randrange(99)}/99/0/0/0 0/0 \"GET /v1/{draw.words(1)} HTTP/1.1\"", lambda: f"[{iso(draw)}] \"GET /v1/{draw.words(1)}/{draw.uuid()} HTTP/2\" 200 - via_upstream - \"-\" 0 {draw.randrange(9999)} 7 6 \"{client}\" \"{draw.choice(AGENTS)}\" \"{draw.uuid()}\" \"{draw.words(1)}.svc.cluster.local:8080\" \"{ipv4(draw)}:8080\" outbound|8080||{draw.words(1)}.default.svc.cluster.local",
        lambda: json.dumps({"ClientAddr": f"{client}:{draw.randrange(65536)}", "DownstreamStatus": 200, "Duration": draw.randrange(10**9), "RequestPath": f"/{draw.words(1)}", "RouterName": f"{draw.words(1)}@docker", "StartUTC": f"{when:%Y-%m-%dT%H:%M:%S}.{draw.digits(9)}Z", "TLSCipher": "TLS_AES_128_GCM_SHA256"}),
        lambda: f"https {when:%Y-%m-%dT%H:%M:%S.%fZ} app/{draw.words(1)}/{draw.chars('x', 16)} {client}:{draw.randrange(65536)} {ipv4(draw)}:80 0.000 0.0{draw.digits(2)} 0.000 200 200 {draw.randrange(999)} {draw.randrange(9999)} \"GET https://{draw.words(1)}.io:443/ HTTP/2.0\" \"{draw.choice(AGENTS)}\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-west-1:{draw.digits(12)}:targetgroup/{draw.words(1)}/{draw.chars('x', 16)} \"Root=1-{draw.chars('x', 8)}-{draw.chars('x', 24)}\" \"-\" \"-\" 0",
        lambda: f"2 {draw.digits(12)} eni-{draw.chars('x', 17)} {client} {ipv4(draw)} {draw.randrange(65536)} 443 6 {draw.randrange(999)} {draw.randrange(99999)} {int(when.timestamp())} {int(when.timestamp()) + 60} ACCEPT OK", lambda: f"[INFO] {client}:{draw.randrange(65536)} - {draw.randrange(65536)} \"A IN {draw.words(1)}.default.svc.cluster.local. udp 54 false 512\" NOERROR qr,aa,rd 106 0.000{draw.digits(6)}s",
        lambda: f"{when:%Y-%m-%d %H:%M:%S} {client} GET /{draw.words(1)}.aspx id={draw.randrange(9999)} 443 - {ipv4(draw)} {draw.choice(AGENTS).replace(' ', '+')} - 200 0 0 {draw.randrange(999)}",
    ])()  # fmt: skip


def clouds(draw: Draw) -> str:
    """Audit events of clouds and clusters without credentials, search engines, brokers."""
    when = f"{instant(draw):%Y-%m-%dT%H:%M:%SZ}"
    return draw.choice([
        lambda: json.dumps({"eventVersion": "1.09", "eventTime": when, "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "awsRegion": "eu-west-1", "requestID": draw.chars("A", 16), "eventID": draw.uuid(), "readOnly": True, "recipientAccountId": draw.digits(12), "sharedEventID": draw.uuid(), "additionalEventData": {"bytesTransferredIn": 0, "x-amz-id-2": draw.chars("b", 75) + "="}}),
        lambda: json.dumps({"protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "methodName": "storage.objects.get", "authorizationInfo": [{"granted": True, "permission": "storage.objects.get"}]}, "insertId": draw.chars("a", 14), "logName": "projects/basin/logs/cloudaudit.googleapis.com%2Fdata_access", "receiveTimestamp": when}),
        lambda: json.dumps({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": draw.uuid(), "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces/default/secrets/db-main", "verb": "get", "objectRef": {"resource": "secrets", "namespace": "default", "name": "db-main", "apiVersion": "v1"}, "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "RBAC: allowed by RoleBinding"}}),
        lambda: json.dumps({"type": "server", "timestamp": when, "level": "INFO", "component": "o.e.c.m.MetadataIndexTemplateService", "cluster.name": draw.words(1), "node.name": f"es-{draw.randrange(9)}", "cluster.uuid": draw.chars("u", 22), "node.id": draw.chars("u", 22), "message": "adding index template"}),
        lambda: json.dumps({"t": {"$date": when}, "s": "I", "c": "COMMAND", "id": draw.randrange(99999), "ctx": f"conn{draw.randrange(999)}", "msg": "Slow query", "attr": {"ns": f"shop.{draw.words(1)}", "command": {"find": "orders", "filter": {"_id": {"$oid": draw.chars("x", 24)}}, "lsid": {"id": {"$uuid": draw.uuid()}}}, "queryHash": draw.chars("X", 8), "planCacheKey": draw.chars("X", 8), "durationMillis": draw.randrange(999)}}),
        lambda: f"{when} [info] <0.{draw.randrange(9999)}.0> accepting AMQP connection <0.{draw.randrange(9999)}.0> ({ipv4(draw)}:{draw.randrange(65536)} -> {ipv4(draw)}:5672)", lambda: f"# Query_time: {draw.uniform(0, 9):.6f}  Lock_time: 0.000{draw.digits(3)} Rows_sent: 1  Rows_examined: {draw.randrange(999999)}", lambda: json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "17" + draw.digits(17), "severityNumber": 9, "body": {"stringValue": draw.words(4)}, "traceId": draw.chars("x", 32), "spanId": draw.chars("x", 16)}]}]}]}),
        lambda: f"START RequestId: {draw.uuid()} Version: $LATEST", lambda: f"REPORT RequestId: {draw.uuid()}\tDuration: {draw.uniform(0, 999):.2f} ms\tBilled Duration: {draw.randrange(999)} ms\tMemory Size: 128 MB\tMax Memory Used: {draw.randrange(128)} MB\tXRAY TraceId: 1-{draw.chars('x', 8)}-{draw.chars('x', 24)}\tSegmentId: {draw.chars('x', 16)}\tSampled: true",
    ])()  # fmt: skip


def builds(draw: Draw) -> str:
    """Package managers, compilers, pipelines, infrastructure plans."""
    return draw.choice([
        lambda: f"Step {draw.randrange(20)}/20 : RUN pip install -r requirements.txt\n ---> Running in {draw.chars('x', 12)}\nRemoving intermediate container {draw.chars('x', 12)}\n ---> {draw.chars('x', 12)}", lambda: f"#{draw.randrange(30)} sha256:{draw.chars('x', 64)} {draw.randrange(99)}.{draw.randrange(99)}MB / 99.12MB {draw.randrange(60)}.1s", lambda: f"[INFO] Downloaded from central: https://maven.example.org/maven2/org/{draw.words(1)}/{draw.words(1)}-api/{version(draw)}/{draw.words(1)}.pom ({draw.randrange(99)} kB at {draw.randrange(999)} kB/s)", lambda: f"npm warn deprecated {draw.words(1)}@{version(draw)}: this library is no longer supported",
        lambda: f"##[group]Run actions/checkout@{draw.chars('x', 40)}", lambda: f"Terraform plan: aws_secretsmanager_secret.{draw.words(1)}: Refreshing state... [id=arn:aws:secretsmanager:eu-west-1:{draw.digits(12)}:secret:{draw.words(1)}-{draw.chars('n', 6)}]", lambda: f"+ random_password.{draw.words(1)} will be created; result = (sensitive value)", lambda: f"Collecting {draw.words(1)}=={version(draw)} --hash=sha256:{draw.chars('x', 64)}", lambda: f"github.com/{draw.words(1)}/{draw.words(1)} v1.{draw.randrange(9)}.0 h1:{draw.chars('b', 43)}=", lambda: f"    \"integrity\": \"sha512-{draw.chars('b', 86)}==\",", lambda: f"   Compiling {draw.words(1)}-token v{draw.randrange(9)}.{draw.randrange(9)}.0",
        lambda: f"PASS tests/password_reset.test.ts ({draw.uniform(0, 9):.3f} s)", lambda: f"::set-output name=digest::sha256:{draw.chars('x', 64)}", lambda: f"upload of {order(draw)} finished, upload id {ulid(draw)}, part etag \"{draw.chars('x', 32)}-{draw.randrange(99)}\"", lambda: f"Successfully tagged registry.{draw.words(1)}.io/{draw.words(1)}:{draw.chars('x', 40)}", lambda: f"codecov: uploading report for commit {draw.chars('x', 40)}", lambda: f"deploying {draw.chars('x', 7)} ({draw.chars('x', 40)}) to heroku", lambda: f"sonar: analysis id {draw.chars('u', 20)} project {draw.words(1)}",
    ])()  # fmt: skip


EDGE = (balancers, clouds, builds)
