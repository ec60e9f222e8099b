"""Harmless lines of servers, databases, brokers and systems."""

from __future__ import annotations

from tests.corpus.draw import Draw
from tests.corpus.harmless_values import instant, iso, pod, version
from tests.corpus.network import ipv4
from tests.corpus.record import record


def nginx(draw: Draw) -> str:
    """An error of nginx."""
    when = instant(draw).strftime("%Y/%m/%d %H:%M:%S")
    what = draw.choice([
        f"upstream timed out (110: Connection timed out) while reading response header from upstream, client: {ipv4(draw)}, server: {draw.words(1)}.io, request: \"GET /v1/{draw.words(1)} HTTP/2.0\", upstream: \"http://{ipv4(draw)}:8080/v1\"",
        f"open() \"/usr/share/nginx/html/{draw.words(1)}.ico\" failed (2: No such file or directory)", "worker process 31 exited with code 0", f"limiting requests, excess: {draw.randrange(99)}.{draw.digits(3)} by zone \"api\", client: {ipv4(draw)}",
    ])  # fmt: skip
    return f"{when} [error] {draw.randrange(99999)}#{draw.randrange(99)}: *{draw.randrange(10**7)} {what}"


def postgres(draw: Draw) -> str:
    """A line of PostgreSQL."""
    what = draw.choice([
        f"duration: {draw.uniform(0, 900):.3f} ms  execute <unnamed>: SELECT id, total FROM orders WHERE user_id = $1 AND created_at > $2", f"checkpoint complete: wrote {draw.randrange(9999)} buffers (1.2%); 0 WAL file(s) added; write=26.9 s, sync=0.004 s; lsn={draw.randrange(9)}/{draw.chars('X', 8)}",
        f"connection authenticated: identity=\"app\" method=scram-sha-256 (/etc/postgresql/pg_hba.conf:{draw.randrange(200)})", f"password authentication failed for user \"{draw.words(1)}\"", "could not receive data from client: Connection reset by peer",
        f"automatic vacuum of table \"shop.public.{draw.words(1)}\": index scans: 1 pages: 0 removed, {draw.randrange(99999)} remain", f"relation \"{draw.words(1)}\" does not exist at character {draw.randrange(90)}", f"process {draw.randrange(9999)} still waiting for ShareLock on transaction {draw.randrange(10**9)} after 1000.{draw.digits(3)} ms",
        "statement: UPDATE users SET password_hash = $1, updated_at = now() WHERE id = $2", f"received SSL connection: host={ipv4(draw)} user=app database=shop SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)",
    ])  # fmt: skip
    return f"{instant(draw):%Y-%m-%d %H:%M:%S.%f} UTC [{draw.randrange(99999)}] app@shop LOG:  {what}"


def sql(draw: Draw) -> str:
    """A statement with placeholders."""
    text = draw.choice([
        "SELECT * FROM users WHERE email = ? AND password_hash = ?", "INSERT INTO sessions (id, user_id, token_hash, expires_at) VALUES ($1, $2, $3, $4)", "UPDATE accounts SET api_key_hash = :hash WHERE id = :id", "SELECT count(*) FROM tokens WHERE expires_at < now() - interval '7 days'",
        f"DELETE FROM {draw.words(1)} WHERE id IN (?, ?, ?) LIMIT {draw.randrange(1000)}", f"SELECT pin_count, cvv_result FROM payments WHERE order_id = {draw.randrange(10**8)}", "ALTER TABLE users ADD COLUMN password_changed_at timestamptz", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    ])  # fmt: skip
    return draw.choice(
        [
            lambda: record(draw, sql=text, rows=draw.randrange(999), took_ms=draw.randrange(99)),
            lambda: f"{iso(draw)} DEBUG sqlalchemy.engine {text}",
        ]
    )()


def redis(draw: Draw) -> str:
    """A line of Redis."""
    what = draw.choice(["DB saved on disk", f"{draw.randrange(99)} changes in 300 seconds. Saving...", f"Background saving started by pid {draw.randrange(99999)}", "MASTER <-> REPLICA sync: Finished with success", f"Client id={draw.randrange(99999)} addr={ipv4(draw)}:{draw.randrange(65536)} laddr={ipv4(draw)}:6379 fd=8 name= age=0 idle=0 flags=N db=0 cmd=get user=default closed", f"Partial resynchronization not possible (no cached master), replid {draw.chars('x', 40)}"])  # fmt: skip
    return f"{draw.randrange(99)}:M {instant(draw):%d %b %Y %H:%M:%S}.{draw.digits(3)} * {what}"


def kafka(draw: Draw) -> str:
    """A line of Kafka."""
    what = draw.choice([f"[Partition {draw.words(1)}.events-{draw.randrange(64)} broker=1] Log loaded for partition with initial high watermark {draw.randrange(10**9)}", f"[GroupCoordinator 2]: Member consumer-{draw.words(1)}-1-{draw.uuid()} in group {draw.words(1)} has failed, removing it from the group", f"[ProducerStateManager partition=__consumer_offsets-{draw.randrange(50)}] Wrote producer snapshot at offset {draw.randrange(10**8)} with 0 producer ids", f"cluster.id = {draw.chars('u', 22)}", "sasl.jaas.config = [hidden]", "ssl.keystore.password = null", "ssl.key.password = [hidden]", "sasl.mechanism = SCRAM-SHA-512", f"Cluster ID: {draw.chars('u', 22)}"])  # fmt: skip
    return f"[{instant(draw):%Y-%m-%d %H:%M:%S},{draw.digits(3)}] INFO {what} (kafka.server)"


def system(draw: Draw) -> str:
    """A line of syslog: systemd, sshd, kernel, cron, sudo, audit."""
    what = draw.choice([
        f"systemd[1]: Started {draw.words(1)}.service - {draw.words(2)}.", f"systemd[1]: {draw.words(1)}.service: Consumed {draw.uniform(0, 60):.3f}s CPU time.", f"sshd[{draw.randrange(99999)}]: Accepted publickey for deploy from {ipv4(draw)} port {draw.randrange(65536)} ssh2: ED25519 SHA256:{draw.chars('b', 43)}",
        f"sshd[{draw.randrange(99999)}]: Failed password for invalid user admin from {ipv4(draw)} port {draw.randrange(65536)} ssh2", f"sshd[{draw.randrange(99999)}]: Accepted password for {draw.words(1)} from {ipv4(draw)} port {draw.randrange(65536)} ssh2", "sshd[811]: pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
        f"kernel: [{draw.uniform(0, 99999):.6f}] eth0: renamed from veth{draw.chars('x', 7)}", f"CRON[{draw.randrange(99999)}]: (root) CMD (/usr/bin/find /tmp -mtime +7 -delete)", f"sudo: deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND=/usr/bin/systemctl restart {draw.words(1)}",
        f"audit[{draw.randrange(99999)}]: USER_AUTH pid={draw.randrange(99999)} uid=0 auid=4294967295 ses=4294967295 msg='op=PAM:authentication grantors=pam_unix acct=\"root\" exe=\"/usr/sbin/sshd\" hostname={ipv4(draw)} res=success'", f"type=SYSCALL msg=audit({draw.randrange(10**9, 2 * 10**9)}.{draw.digits(3)}:{draw.randrange(99999)}): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1={draw.chars('x', 12)} items=1 ppid=1 key=\"access\"",
        f"dhclient[{draw.randrange(999)}]: DHCPACK of {ipv4(draw)} from {ipv4(draw)} (xid=0x{draw.chars('x', 8)})", f"containerd[701]: time=\"{iso(draw)}\" level=info msg=\"RemoveContainer for \\\"{draw.chars('x', 64)}\\\" returns successfully\"", "passwd[991]: pam_unix(passwd:chauthtok): password changed for deploy", f"dockerd[55]: image pulled registry.{draw.words(1)}.io/{draw.words(1)}@sha256:{draw.chars('x', 64)}",
    ])  # fmt: skip
    return f"{instant(draw):%b %d %H:%M:%S} {draw.words(1)}-{draw.randrange(9)} {what}"


def kubernetes(draw: Draw) -> str:
    """An event or a component's line of Kubernetes."""
    name, uid = pod(draw), draw.uuid()
    return draw.choice([
        lambda: record(draw, kind="Event", reason="Pulled", involvedObject={"kind": "Pod", "name": name, "uid": uid, "resourceVersion": draw.digits(9)}, message=f'Successfully pulled image "registry.{draw.words(1)}.io/{draw.words(1)}:{version(draw)}" in {draw.uniform(0, 9):.3f}s'),
        lambda: f'I{instant(draw):%m%d %H:%M:%S.%f} {draw.randrange(9999):7d} reconciler_common.go:245] "operationExecutor.VerifyControllerAttachedVolume started for volume \\"kube-api-access-{draw.chars("a", 5)}\\" (UniqueName: \\"kubernetes.io/projected/{uid}-kube-api-access-{draw.chars("a", 5)}\\") pod \\"{name}\\" (UID: \\"{uid}\\") " pod="default/{name}"',
        lambda: record(draw, msg="Back-off restarting failed container", pod=name, containerID=f"containerd://{draw.chars('x', 64)}", restartCount=draw.randrange(40)), lambda: record(draw, msg=f'secret "{draw.words(1)}-tls" not found', namespace="default", pod=name),
        lambda: record(draw, msg="MountVolume.SetUp succeeded", volume=f"kube-api-access-{draw.chars('a', 5)}", pod=name, podUID=uid), lambda: f"E{instant(draw):%m%d %H:%M:%S.%f}       1 leaderelection.go:332] error retrieving resource lock kube-system/{draw.words(1)}: Get \"https://10.96.0.1:443/apis/coordination.k8s.io/v1/leases\": context deadline exceeded",
    ])()  # fmt: skip


SYSTEMS = (nginx, postgres, sql, redis, kafka, system, kubernetes)
