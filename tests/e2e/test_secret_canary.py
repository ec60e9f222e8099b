"""The canary: secrets of headrig's own go through the whole program and are looked for downstream."""

from running import wait_until

OFTEN = {"canary": {"every": "1s", "patience": "20s"}}
HOLE = {"masking": {"disable": ["aws-access-key-id"]}}


def seen(program, outcome):
    return program.metric("headrig_canaries_total", outcome=outcome)


def test_a_canary_comes_masked_to_the_archive_again_and_again(programs):
    """With masking whole each canary arrives without its secret, and the node stays ready."""
    program = programs(OFTEN).start()
    wait_until(lambda: seen(program, "masked") >= 2)
    assert not seen(program, "found")
    assert program.ready()


def test_a_hole_in_masking_makes_the_node_not_ready(programs):
    """Every worker says so, the log tells it as an error, and neither quotes the secret."""
    program = programs({**OFTEN, **HOLE}).start()
    wait_until(lambda: seen(program, "found"))
    for _ in range(8):  # whichever worker answers
        answer = program.get("/readyz")
        assert answer.status == 503
        assert answer.json()["problems"] == ["a canary secret was found downstream: masking has a hole"]
    own = program.log()
    assert "a canary secret was found downstream" in own
    assert "AKIA" not in own


def test_a_canary_comes_masked_to_loki(programs, loki):
    """Where there is a Loki the canary is looked for there."""
    program = programs({**OFTEN, "sinks": {"loki": {"url": loki.url}}}).start()
    wait_until(lambda: seen(program, "masked"), 40)
    assert not seen(program, "found")
