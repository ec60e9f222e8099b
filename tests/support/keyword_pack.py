"""A pack of keyword rules, and of an address that is off unless enabled, for tests of how they work."""

from pathlib import Path

PACK = """
detectors:
  - name: widget-key
    category: saas
    keywords: [widgetron]
    value: '[a-f0-9]{32}'
    validator: opaque
    source: made up
    positive: ['widgetron_key=«<32:a9f04c7e>»', '{"widgetronKey": "«<32:b7c1d05e>»"}', '"«<32:b7c1d05e>»" is the widgetron key']
    negative: ['key=<32:a9f04c7e>', 'widgetron_key=short', 'widgetron=x<32:a9f04c7e>']
  - name: widget-pin
    category: saas
    keywords: [widgetron, widget_code]
    value: '(?:WP-)?([0-9]{9})'
    source: made up
    positive: ['widgetron: «312645978»', 'widget code WP-«312645978»']
    negative: ['gadget: 312645978', 'widgetron 31264597']
  - name: zin-number
    category: pii
    keywords: [zin, zin_no]
    value: '[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}'
    left: number
    right: number
    source: made up
    positive: ['zin: «046 454 286»', '{"taxZin": "«046454286»"}', 'has «046-454-286» as its ZIN', 'TAX_ZIN=«046454286»']
    negative: ['dazzin 046454286', 'zinc 046454286', 'taxzin 046454286', 'zin 1.046454286']
  - name: zone-address
    category: network
    database: addresses
    pattern: 'z[0-9]{1,3}:[0-9]'
    confirm: 'z[0-9]{1,3}:[0-9]{1,3}'
    left: alnum
    right: alnum
    source: made up
    positive: ['at «z12:7» now', '«z1:255»']
    negative: ['z12:', 'xz12:7']
"""


def write(directory: Path) -> str:
    """Write the pack and return its path."""
    path = directory / "keywords.yaml"
    path.write_text(PACK)
    return str(path)
