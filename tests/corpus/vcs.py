"""Version control, package registries, continuous integration."""

from __future__ import annotations

import base64
import zlib

from tests.corpus.checksums import crc_base62, crc_hex
from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe, table

_ROWS = """
gitlab-pat | glpat-{u:20}
gitlab-deploy-token | gldt-{u:20}
gitlab-runner-token | glrt-{u:20}
gitlab-runner-token/typed | glrt-t1_{u:20}
gitlab-runner-registration | GR1348941{u:20}
gitlab-ci-job-token | glcbt-{x:2}_{u:20}
gitlab-trigger-token | glptt-{x:40}
gitlab-feed-token | glft-{u:20}
gitlab-incoming-mail | glimt-{u:25}
gitlab-agent-token | glagent-{u:50}
gitlab-oauth-secret | gloas-{u:64}
gitlab-scim-token | glsoat-{u:20}
gitlab-feature-flag-token | glffct-{u:20}
gitlab-session-cookie | _gitlab_session=«{x:32}»
bitbucket-app-password | ATBB{n:24}{X:8}
gitea-token | {x:40} | gitea token, gitea access token
gitter-token | {u:40} | gitter token, gitter access token
npmrc-auth | //npm.example.org/:_authToken=«{uuid}»
npmrc-auth/basic | //npm.{w}.io/:_auth=«{n:35}=»
rubygems-key | rubygems_{x:48}
crates-io-token | cio{n:32}
nuget-key | oy2{l32:43}
clojars-token | CLOJARS_{x:60}
artifactory-api-key | AKCp{n:69}
codecov-token | {uuid} | codecov token, codecov upload token
codecov-token/hex | {n:32} | codecov token
sonar-token | {=squ|sqp|sqa}_{x:40}
snyk-token | {uuid} | snyk token, snyk api key
circleci-token | {=CCIPAT|CCIPRJ}_{n:22}_{x:40}
buildkite-token | bkua_{a:40}
buildkite-token/service | {=bkaa|bkaj|bkar|bkct|bkpt}_{a:100}
travis-token | {u:22} | travis token, travis ci token
droneci-token | {n:32} | drone token, droneci token
sourcegraph-token | sgp_{=local|a1b2c3d4e5f60718}_{x:40}
octopus-deploy-key | API-{A:26}
harness-token | {=pat|sat}.{u:22}.{x:24}.{n:20}
jfrog-identity-token | {n:64} | jfrog identity token, jfrog token
prefect-token | pnu_{n:36}
launchdarkly-key | {=sdk|mob|api}-{uuid}
"""


def _checked(prefix: str):
    def make(draw: Draw) -> str:
        body = draw.chars("n", 30)
        return f"{prefix}{body}{crc_base62(body)}"

    return make


def _fine_grained(draw: Draw) -> str:
    body = draw.shape("github_pat_{n:22}_{n:53}")
    return body + crc_base62(body)


def _routable(draw: Draw) -> str:
    payload = base64.urlsafe_b64encode(draw.randbytes(40)).decode().rstrip("=")
    body = f"glpat-{payload}.01.{draw.choice('01')}{draw.chars('a', 1)}"
    value, out = zlib.crc32(body.encode()), ""
    while value:
        value, rest = divmod(value, 36)
        out = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + out
    return body + out.rjust(7, "0")


def _pypi(draw: Draw) -> str:
    return draw.choice(["pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBp"]) + draw.shape("{u:120-190}")


def _bitbucket(draw: Draw) -> str:
    body = "ATCTT3xFfGN0" + draw.shape("{u:171}=")
    return body + crc_hex(body).upper()


def _reference(draw: Draw) -> str:
    return base64.b64encode(f"reftkn:01:{draw.digits(10)}:{draw.chars('n', 27)}".encode()).decode()


RECIPES = (
    *table("vcs", _ROWS),
    Recipe("github-pat-classic", "vcs", _checked("ghp_")),
    Recipe("github-oauth-token", "vcs", _checked("gho_")),
    Recipe("github-app-user-token", "vcs", _checked("ghu_")),
    Recipe("github-app-server-token", "vcs", _checked("ghs_")),
    Recipe("github-refresh-token", "vcs", lambda draw: "ghr_" + draw.chars("n", 76)),
    Recipe("github-fine-grained-pat", "vcs", _fine_grained),
    Recipe("gitlab-pat-routable", "vcs", _routable),
    Recipe("npm-token", "vcs", _checked("npm_")),
    Recipe("pypi-token", "vcs", _pypi),
    Recipe("bitbucket-access-token", "vcs", _bitbucket),
    Recipe("artifactory-reference-token", "vcs", _reference),
)
