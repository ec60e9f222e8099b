"""All recipes, and the rows of the table that have none, with the reason."""

from __future__ import annotations

from tests.corpus import (
    auth,
    cloud,
    databases,
    keys,
    network,
    payment,
    pii_americas,
    pii_asia,
    pii_common,
    pii_east,
    pii_europe,
    saas,
    synonyms,
    vcs,
)

_OFFICIAL = (
    *cloud.RECIPES, *vcs.RECIPES, *saas.RECIPES, *payment.RECIPES, *databases.RECIPES, *auth.RECIPES, *keys.RECIPES,
    *pii_common.RECIPES, *pii_americas.RECIPES, *pii_europe.RECIPES, *pii_east.RECIPES, *pii_asia.RECIPES, *network.RECIPES,
)  # fmt: skip
RECIPES = (*_OFFICIAL, *synonyms.with_synonyms(_OFFICIAL))
LEFT_OUT = {
    "identifier, no secret": "aws-unique-principal-id aws-cognito-pool-id aws-account-id gcp-oauth-client-id oracle-oci-ocid swift-bic "
    "ethereum-address uuid hostname-userinfo user-agent",
    "nothing to mask": "ssh-password-log",
    "a word list, found by words": "bip39-mnemonic",
    "in places.py": "generic-base64-secret generic-url-encoded-secret generic-unicode-escaped generic-hex-encoded",
    "in field_names.py": "generic-key-value generic-name-value-pair generic-env-dump generic-uuid-in-credential-key person-name-keyed "
    "postal-address-keyed",
    "off by default": "generic-high-entropy ipv4 ipv6 mac",
    "in messaging rows": "generic-webhook-url",
    "as jwt/kubernetes-sa": "kubernetes-sa-token",
}
"""Rows of the table without a recipe."""
