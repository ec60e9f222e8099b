"""Messaging, monitoring, model vendors and other services."""

from __future__ import annotations

import base64
import json

from tests.corpus.checksums import bech32, crc_hex
from tests.corpus.draw import Draw
from tests.corpus.recipe import Recipe, table

_MESSAGING = """
slack-bot-token | xoxb-{d:12}-{d:13}-{n:24}
slack-user-token | xoxp-{d:12}-{d:12}-{d:13}-{x:32}
slack-app-token | xapp-1-A{A:10}-{d:13}-{x:64}
slack-config-token | xoxe.{=xoxp|xoxb}-1-{b58:163}
slack-refresh-token | xoxe-1-{n:146}
slack-legacy-token | {=xoxo|xoxs|xoxa|xoxr}-{d:10}-{d:10}-{d:10}-{x:10}
slack-session-cookie | xoxd-{n:60}%2B{n:40}%3D
slack-session-cookie/companion | xoxc-{d:12}-{d:12}-{d:12}-{x:64}
slack-webhook | https://hooks.slack.com/services/T{A:8}/B{A:10}/«{n:24}»
slack-webhook/workflow | https://hooks.slack.com/workflows/T{A:8}/A{A:9}/{d:18}/«{n:24}»
slack-webhook/trigger | https://hooks.slack.com/triggers/T{A:8}/{d:13}/«{x:32}»
discord-webhook | https://{=discord|discordapp}.com/api/webhooks/{d:18}/«{u:68}»
teams-webhook | https://{w}.webhook.office.com/webhookb2/{uuid}@{uuid}/IncomingWebhook/«{x:32}»/{uuid}
telegram-bot-token | {d:10}:AA{u:33}
twilio-account-sid | AC{x:32}
twilio-api-key | SK{x:32}
twilio-auth-token | {x:32} | twilio auth token, twilio token
twilio-auth-token/pair | AC{x:32}:«{x:32}»
sendgrid-key | SG.{u:22}.{u:43}
mailgun-key | key-{x:32}
mailgun-key/new | {x:32}-{x:8}-{x:8} | mailgun api key, mailgun key
mailchimp-key | {x:32}-us{=1|7|12|19}
mandrill-key | md-{u:22}
sendinblue-brevo-key | xkeysib-{x:64}-{n:16}
postmark-token | {uuid} | x postmark server token, postmark token
resend-key | re_{b58:8}_{b58:24}
intercom-token | dG9rO{b:54}=
zendesk-token | {n:40} | zendesk api token, zendesk token
"""
_WORK = """
asana-pat | {=0|1|2}/{d:16}:{x:32}
notion-token | ntn_{d:11}{n:35}
notion-token/legacy | secret_{n:43}
linear-key | lin_api_{n:40}
linear-key/oauth | lin_oauth_{x:64}
airtable-pat | pat{n:14}.{x:64}
figma-token | figd_{u:40}
dropbox-token | sl.{u:135}
dropbox-token/user | sl.u.{u:150}
box-token | {n:32} | box access token, box client secret
shopify-token | {=shpat|shpca|shppa|shpss}_{x:32}
hubspot-pat | pat-{=na1|eu1|ap1}-{uuid}
hubspot-pat/legacy | {uuid} | hubspot api key, hubspot key
salesforce-session | 00D{n:12}!{n:60}.{n:35}
okta-token | 00{u:40} | okta token, okta api token
clerk-secret | sk_{=live|test}_{n:42}
onepassword-secret-key | A3-{A:6}-{A:6}-{A:5}-{A:5}-{A:5}-{A:5}
onepassword-service-account | ops_eyJ{n:260}
datadog-api-key | {x:32} | dd api key, datadog api key
datadog-api-key/app | {x:40} | dd application key, datadog app key
newrelic-key | NRAK-{A:27}
newrelic-key/insert | NRII-{u:32}
newrelic-key/browser | NRJS-{x:19}
newrelic-key/licence | {x:36}FFFFNRAL
newrelic-key/licence-eu | eu01xx{x:30}FFFFNRAL
dynatrace-token | {=dt0c01|dt0s01|dt0s16}.{b32:24}.{b32:64}
pagerduty-token | u+{n:18} | pagerduty token, pagerduty api key
opsgenie-key | {uuid} | opsgenie api key, genie key
sumologic-access | su{n:12} | sumologic access id, sumo access id
sumologic-access/key | {n:64} | sumologic access key, sumo access key
splunk-hec-token | Authorization: Splunk «{uuid}»
honeycomb-key | {=hcaik|hcxik}_{a:58}
honeycomb-key/legacy | {x:32} | honeycomb api key, x honeycomb team
algolia-key | {x:32} | algolia api key, x algolia api key, algolia admin key, algolia key
postman-key | PMAK-{x:24}-{x:34}
rapidapi-key | {x:10}msh{x:15}p1{x:5}jsn{x:12}
typeform-token | tfp_{u:44}_3p{n:12}
contentful-token | CFPAT-{u:43}
contentful-token/delivery | {u:43} | contentful delivery token, contentful access token
readme-token | rdme_{a:70}
frameio-token | fio-u-{u:64}
duffel-token | duffel_{=test|live}_{u:43}
maxmind-licence | {n:6}_{n:29}_mmk
beamer-token | b_{u:44} | beamer api key, beamer token
adobe-client-secret | p8e-{a:32}
facebook-token | EAA{n:150-200}
facebook-token/app | {d:15}|{u:27} | facebook app token, fb access token
instagram-token | {=IGQV|IGAA}{n:140}
twitter-bearer | AAAAAAAAAAAAAAAAAAAAA{n:40}%3D{n:45}
twitter-oauth | {d:18}-{n:40} | twitter access token, twitter token
twitter-oauth/secret | {n:45} | twitter access token secret, twitter secret
linkedin-secret | WPL_AP1.{n:16}.{n:8}==
linkedin-secret/legacy | {n:16} | linkedin client secret, linkedin secret
twitch-token | {a:30} | twitch oauth token, twitch access token
spotify-token | BQ{u:150} | spotify access token, spotify token
yandex-cloud-key | AQVN{u:35}
yandex-cloud-key/iam | t1.{u:60}.{u:86}
yandex-cloud-key/aws | YC{u:38} | yandex secret key, yc secret
"""
_MODELS = """
openai-key | sk-{n:20}T3BlbkFJ{n:20}
openai-key/project | sk-{=proj|svcacct|admin}-{u:74}T3BlbkFJ{u:74}
anthropic-key | sk-ant-{=api03|admin01}-{u:93}AA
anthropic-key/oauth | sk-ant-oat01-{u:93}AA
huggingface-token | hf_{L:34}
huggingface-token/org | api_org_{L:34}
cohere-key | {n:40} | cohere api key, cohere key, co api key
perplexity-key | pplx-{n:48}
groq-key | gsk_{n:52}
replicate-token | r8_{n:37}
xai-key | xai-{n:80}
mistral-key | {n:32} | mistral api key, mistral key
google-gemini-key | AQ.Ab8RN6{u:44}
langsmith-key | lsv2_{=pt|sk}_{x:32}_{x:10}
pinecone-key | pcsk_{n:6}_{n:63}
wandb-key | {x:40} | wandb api key, wandb key
wandb-key/new | wandb_v1_{n:77}
"""


def _b64json(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def _discord(draw: Draw) -> str:
    user = base64.b64encode(draw.choice("789").encode() + draw.digits(17).encode()).decode().rstrip("=")
    return f"{user}.{draw.chars('u', 6)}.{draw.chars('u', 38)}"


def _atlassian(draw: Draw) -> str:
    body = "ATATT3xFfGF0" + draw.shape("{u:171}")
    return f"{body}={crc_hex(body).upper()}"


def _grafana(draw: Draw) -> str:
    body = "glsa_" + draw.chars("n", 32)
    return f"{body}_{crc_hex(body)}"


def _grafana_cloud(draw: Draw) -> str:
    value = {"o": draw.digits(6), "n": draw.words(1), "k": draw.chars("n", 24), "m": {"r": "eu"}}
    return "glc_" + base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def _grafana_legacy(draw: Draw) -> str:
    value = {"k": draw.chars("n", 32), "n": draw.words(1), "id": 1}
    return base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def _sentry_org(draw: Draw) -> str:
    value = {
        "iat": 1700000000.5,
        "url": "https://sentry.io",
        "region_url": "https://us.sentry.io",
        "org": draw.words(1),
    }
    return f"sntrys_{_b64json(value)}_{draw.chars('b', 43)}"


def _age(draw: Draw) -> str:
    # 32 bytes are 51 full five-bit groups and one of a single bit
    return bech32("age-secret-key-", [*(draw.randrange(32) for _ in range(51)), draw.choice((0, 16))]).upper()


def _elastic(draw: Draw) -> str:
    value = base64.b64encode(f"{draw.chars('u', 20)}:{draw.chars('u', 22)}".encode()).decode()
    return f"Authorization: ApiKey «{value}»"


def _mapbox(draw: Draw) -> str:
    return f"{draw.choice(['sk', 'tk', 'pk'])}.{_b64json({'u': draw.words(1), 'a': draw.chars('a', 25)})}.{draw.chars('u', 22)}"


def _miro(draw: Draw) -> str:
    return "eyJtaXJvLm9yaWdpbiI6ImV1MDEifQ_" + draw.chars("u", 27)


def _auth0(draw: Draw) -> str:
    claims = {
        "iss": f"https://{draw.words(1)}.auth0.com/",
        "aud": "https://x.auth0.com/api/v2/",
        "gty": "client-credentials",
    }
    return f"{_b64json({'alg': 'RS256', 'typ': 'JWT'})}.{_b64json(claims)}.{draw.chars('u', 342)}"


RECIPES = (
    *table("saas", _MESSAGING + _WORK + _MODELS),
    Recipe("discord-bot-token", "saas", _discord),
    Recipe("atlassian-api-token", "saas", _atlassian),
    Recipe("grafana-service-account", "saas", _grafana),
    Recipe("grafana-cloud-token", "saas", _grafana_cloud),
    Recipe("grafana-legacy-key", "saas", _grafana_legacy),
    Recipe("sentry-tokens", "saas", _sentry_org),
    Recipe("sentry-tokens/user", "saas", lambda draw: draw.shape("sntryu_{x:64}")),
    Recipe(
        "sentry-tokens/dsn", "saas", lambda draw: draw.shape("https://«{x:32}»@o{d:6}.ingest.sentry.io/{d:7}")
    ),
    Recipe("age-secret-key", "saas", _age),
    Recipe("elastic-api-key", "saas", _elastic),
    Recipe("mapbox-token", "saas", _mapbox),
    Recipe("miro-token", "saas", _miro),
    Recipe("auth0-management-token", "saas", _auth0),
)
