"""A candidate policy in the shadow: its difference is counted, and nothing else of it shows."""

import time

from running import wait_until

LINES = [
    b'{"service":"shadowed","message":"from bob@example.org"}',
    b'{"service":"shadowed","message":"key AKIAQ7XBQ7XBQ7XBQ7XB"}',
    b'{"service":"shadowed","message":"nothing to see"}',
    b'{"service":"shadowed","message":"alice@example.org and bob@example.org"}',
]


def test_a_candidate_is_counted_and_changes_nothing(programs):
    """Two records would differ by three addresses; what is delivered is masked by the policy in force."""
    program = programs({"masking": {"shadow": {"disable": ["email"]}}}).start()
    start = time.time_ns()
    assert program.post(b"\n".join(LINES)).status == 200
    wait_until(lambda: program.metric("headrig_shadow_records_total") == len(LINES))
    assert program.metric("headrig_shadow_records_total", outcome="differ") == 2
    assert program.metric("headrig_shadow_records_total", outcome="same") == 2
    changes = program.metrics()
    assert {name: value for name, value in changes.items() if "shadow_changes_total{" in name} == {
        'headrig_shadow_changes_total{change="fewer",detector="email"}': 3
    }
    stored = program.entries('{service_name="shadowed"}', start - 10**9, time.time_ns() + 10**9)
    assert len(stored) == len(LINES)
    assert not [entry for entry in stored if "example.org" in entry.line]
