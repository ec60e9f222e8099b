"""The starter pack on what applications log: how it ended, who did it to whom, and under which names."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from headrig import AuditEvent, Batch, Resource

from processors.classification import SPEC, Classifier

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Return the stage with the starter pack, compiled once."""
    host = SimpleNamespace(
        config_dir=CONFIG,
        cache_dir=tmp_path_factory.mktemp("cache"),
        fields={},
        key=bytes(32),
        log=logging.getLogger("test.classification.pack"),
        now_ns=lambda: 0,
    )
    stage = SPEC.factory({"rules": ["classification"]}, host)
    assert isinstance(stage, Classifier)
    return stage


def _judge(pack: Classifier, record: Any) -> AuditEvent | None:
    line = record.encode() if isinstance(record, str) else orjson.dumps(record)
    head = None if isinstance(record, str) else SimpleNamespace()
    batch = Batch(Resource("t"), [line], [head], [0], [{}], [None], [0])
    pack.run(batch)
    return batch.events[0] if batch.events else None


def _event(pack: Classifier, record: Any) -> AuditEvent:
    event = _judge(pack, record)
    assert event is not None
    return event


@pytest.mark.parametrize(
    "record",
    [
        {"event": "login", "error": "bad password"},
        {"event": "login", "status": 500},
        {"event": "login", "status": 423},
        {"event": "login", "status": "500 Internal Server Error"},
        {"event": "login", "status": "locked"},
        {"event": "login", "outcome": "invalid_credentials"},
        {"event": "login", "result": "FAILED_MFA"},
        {"event": "login", "outcome": {"result": "FAILURE"}},
        {"event": "login.success", "success": False},
        {"event": "secret.read", "result": "AccessDenied"},
        {"event": "secret.read", "allowed": False, "status": 200},
        {"event": "user.deleted", "status": 409},
        {"event": "user.deleted", "error": "permission denied"},
        {"event": "user.deleted", "outcome": "success", "exception": {"type": "ValueError"}},
        {"event": "role.granted", "status": "completed", "success": False},
        {"event": "data.export", "outcome": "aborted"},
        {"event": "data.export", "outcome": ["success", "not_allowed"]},
    ],
)
def test_a_failed_action_is_a_failure(pack: Classifier, record: dict[str, Any]) -> None:
    """Any word, number or error in any of the outcome fields that says so makes it one."""
    assert _event(pack, record).outcome == "failure"


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({}, "success"),
        ({"status": None, "result": ""}, "success"),
        ({"status": "200 OK"}, "success"),
        ({"status": 302}, "success"),
        ({"status": "active", "success": True}, "success"),
        ({"error": None}, "success"),
        ({"error": "", "exception": {}}, "success"),
        ({"error": {"message": None, "code": 0}}, "success"),
        ({"status": "pending"}, "unknown"),
        ({"outcome": "partial_success"}, "unknown"),
        ({"status": 7}, "unknown"),
        ({"result": "???"}, "unknown"),
    ],
)
def test_only_silence_is_taken_for_success(pack: Classifier, more: dict[str, Any], outcome: str) -> None:
    """The default stands where nothing is said; a word nobody knows is unknown."""
    assert _event(pack, {"event": "user.deleted", "user": "ann", **more}).outcome == outcome
    assert _event(pack, {"event": "user.login", "user": "ann", **more}).outcome == outcome


@pytest.mark.parametrize(
    ("record", "actor", "target"),
    [
        ({"event": "role.assigned", "user": "bob", "performed_by": "ann"}, "ann", "bob"),
        ({"event": "user_deleted", "username": "victim", "deleted_by": "root"}, "root", "victim"),
        ({"event": "user_created", "user_id": 7, "created_by": "ann"}, "ann", "7"),
        ({"event": "password.changed", "user": "bob", "changed_by": "root"}, "root", "bob"),
        ({"event": "role.granted", "grantee": "bob", "granted_by": "root", "user": "bob"}, "root", "bob"),
        ({"event": "role.granted", "user": "ann", "target_user": "ann"}, "ann", "ann"),
        ({"event": "role.granted", "user": "bob", "resource": "doc", "by": "ann"}, "ann", "bob"),
        ({"event": "role.granted", "user": "bob", "resource": "doc"}, "", "bob"),
        ({"event": "role.granted", "resource": "doc", "by": "ann"}, "ann", "doc"),
        ({"event": "group.member.added", "user": "bob", "group": "admins"}, "", "bob"),
        ({"event": "admin.action", "admin": "root"}, "root", ""),
        ({"event": "impersonation.started", "admin": "root", "user": "bob"}, "root", "bob"),
        ({"event": "user.deleted", "user": "bob"}, "", "bob"),
        ({"event": "user.deleted", "user": "bob", "admin": True}, "", "bob"),
        ({"event": "user_promoted", "user": {"id": 7, "name": "bob"}}, "", "bob"),
        ({"event": "user.created", "user": {"id": 1, "name": "root"}, "new_user": "bob"}, "root", "bob"),
        ({"event": "delete_user", "target": "bob", "user": "ann"}, "ann", "bob"),
        ({"action": "create", "resource_type": "user", "resource_id": 7, "user": "ann"}, "ann", "7"),
        ({"event": "user.signup", "email": "x@example.org"}, "x@example.org", "x@example.org"),
        ({"event": "password.changed", "user": "ann"}, "ann", "ann"),
        ({"event": "acl_changed", "user": "ann", "resource": "doc"}, "ann", "doc"),
        ({"event": "data.export", "user": "ann"}, "ann", ""),
        ({"event": "data.export", "user": "ann", "actor": "ann"}, "ann", ""),
        ({"event": "login", "user": "ann", "admin": True}, "ann", ""),
        ({"event": "login", "user": {"username": "ann"}}, "ann", ""),
        ({"event": "login", "user": {"sub": "ann"}}, "ann", ""),
        ({"event": "login", "userIdentity": {"arn": "arn:x"}}, "arn:x", ""),
        ({"event": "login", "actor": {"alternateId": "ann"}}, "ann", ""),
    ],
)
def test_the_one_it_was_done_to_is_not_the_doer(
    pack: Classifier, record: dict[str, Any], actor: str, target: str
) -> None:
    """Whoever is named as the doer is; the user is the target then, and in events about accounts and rights."""
    event = _event(pack, record)
    assert (event.actor, event.target) == (actor, target)


@pytest.mark.parametrize(
    ("more", "identity"),
    [
        ({"event_id": 4624}, ""),
        ({"event_id": "4624"}, ""),
        ({"eventId": "USER_LOGIN"}, ""),
        ({"event_id": "00000000-0000-0000-0000-000000000000"}, ""),
        ({"event_id": "0b8f4c1e-52c4-5b0a-9d55-6f0d5f4f6a11"}, "0b8f4c1e-52c4-5b0a-9d55-6f0d5f4f6a11"),
        ({"eventId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ({"event_id": "4bf92f3577b34da6"}, "4bf92f3577b34da6"),
        ({"audit_id": "a-1"}, "a-1"),
        ({"audit": {"id": 17}, "event_id": "4bf92f3577b34da6"}, "17"),
    ],
)
def test_an_id_of_a_kind_is_not_the_id_of_an_event(
    pack: Classifier, more: dict[str, Any], identity: str
) -> None:
    """Two events with one id would be one, so only what is surely unique is taken for an id."""
    assert _event(pack, {"event": "login", "user": "ann", **more}).id == identity


@pytest.mark.parametrize(
    ("record", "action"),
    [
        ({"event": "AuthenticationFailed"}, "login"),
        ({"event": "user_signed_in"}, "login"),
        ({"event": "UserSignedIn"}, "login"),
        ({"event": "signed_in"}, "login"),
        ({"event": "invalid_credentials"}, "login"),
        ({"event": "admin_login"}, "login"),
        ({"type": "LOGIN_ERROR", "userId": "u1", "error": "invalid_user_credentials"}, "login"),
        ("Failed password for invalid user bob from 192.0.2.7 port 22 ssh2", "login"),
        ({"message": "Accepted publickey for ann from 192.0.2.7 port 22 ssh2"}, "login"),
        ({"event": "PermissionChanged"}, "change_permission"),
        ({"event": "grant_role"}, "grant_permission"),
        ({"event": "rolebinding.created"}, "grant_permission"),
        ({"event": "RoleBindingCreated"}, "grant_permission"),
        ({"event": "ConfigurationChanged"}, "change_configuration"),
        ({"event": "feature_flag.toggled"}, "change_configuration"),
        ({"event": "FeatureFlagToggled"}, "change_configuration"),
        ({"event": "configuration.modified"}, "change_configuration"),
        ({"action": "update", "resource": "settings"}, "change_configuration"),
        ({"event": "customer.export"}, "export_data"),
        ({"event": "export", "user": "ann"}, "export_data"),
        ({"event": "report.downloaded"}, "export_data"),
        ({"event": "key.usage"}, "use_key"),
        ({"event": "signing_key_used"}, "use_key"),
        ({"action": "create", "resource_type": "user"}, "create_user"),
        ({"action": "delete", "resource_type": "User"}, "delete_user"),
    ],
)
def test_kinds_are_known_however_they_are_written(pack: Classifier, record: Any, action: str) -> None:
    """Separators and capitals of a name make no difference; a verb and a kind of thing are a name too."""
    assert _event(pack, record).action == action


@pytest.mark.parametrize(
    "record",
    [
        {"type": "login", "message": "rendering login form"},
        {"operation": "token.refreshed", "level": "debug"},
        {"type": "key_use", "x": 1},
        {"activity": "sudo", "user": None},
        {"event": "export_started", "exporter": "otlp"},
        {"event": "export"},
        {"event": "user.login.page", "user": "ann"},
        {"event": "UserLoginPage", "user": "ann"},
        {"event": "login--failed", "user": "ann"},
        {"action": "create", "resource_type": "order", "user": "ann"},
        {"event": "order.created", "user": "ann"},
        {"message": "Failed password policy check"},
    ],
)
def test_what_only_looks_alike_is_no_event(pack: Classifier, record: dict[str, Any]) -> None:
    """Weak fields need somebody who did it, and a name must be the whole name."""
    assert _judge(pack, record) is None


def test_what_is_remembered_of_one_record_is_not_said_of_another(pack: Classifier) -> None:
    """Records alike but for somebody deep inside, or for their outcome, are judged apart."""
    assert _judge(pack, {"type": "login", "user": {}, "actor": []}) is not None
    assert _judge(pack, {"type": "login", "audit": {}}) is None
    assert _judge(pack, {"type": "login", "audit": {"actor": "ann"}}) is not None
    outcomes = [
        _event(pack, {"event": "login", "user": {"name": "ann"}, "error": {"code": code}}).outcome
        for code in (0, 1, 0)
    ]
    assert outcomes == ["success", "failure", "success"]
    assert [_event(pack, {"event": "login", "status": f"s{n}"}).outcome for n in range(1500)] == [
        "unknown"
    ] * 1500
    assert _event(pack, {"event": "login", "status": "denied"}).outcome == "failure"


def test_plain_text_names_user_and_address(pack: Classifier) -> None:
    """What a line of sshd says in words reaches the fields of the event."""
    event = _event(pack, "sshd[1]: Failed password for invalid user bob from 192.0.2.7 port 22 ssh2")
    assert (event.actor, event.outcome, event.ocsf["src_endpoint.ip"]) == ("bob", "failure", "192.0.2.7")


def test_long_ids_stay_apart(pack: Classifier) -> None:
    """Ids that are equal up to the bound are not made one by the cut; a short one is kept as it is."""
    ids = [_event(pack, {"event": "login", "audit_id": "x" * 2000 + end}).id for end in ("a", "b", "a")]
    assert ids[0] == ids[2] != ids[1]
    assert all(len(identity) == 1024 for identity in ids)
    assert _event(pack, {"event": "login", "audit_id": "x" * 1024}).id == "x" * 1024
