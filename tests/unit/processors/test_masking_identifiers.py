"""Check digits of national numbers: published examples pass, and one check value of all passes for a body."""

from itertools import product
from random import Random
from string import ascii_uppercase, digits

import pytest

from processors.masking.validators import VALIDATORS

PUBLISHED = {
    # Examples that the authorities, their manuals or the standards print.
    "at_svnr": ["1237 010180"],
    "au_abn": ["83 914 571 673", "51 824 753 556"],
    "au_acn": ["004 085 616", "000 000 019"],
    "au_medicare": ["2123 45670 1"],
    "au_tfn": ["123 456 782", "81854402"],
    "aba_routing": ["111000025", "021000021"],
    "ar_cuit": ["20-26756539-3"],
    "be_national_register": ["85.07.30-033.28", "17 07 30 033 84"],
    "bg_egn": ["7523169263"],
    "br_cnpj": ["16.727.230/0001-97", "12.ABC.345/01DE-35"],
    "br_cpf": ["390.533.447-05"],
    "ca_sin": ["123 456 782"],
    "ch_ahv": ["756.9217.0769.85"],
    "cl_rut": ["76.086.428-5", "12.531.909-2"],
    "cn_resident_id": ["11010519491231002X", "440524188001010014"],
    "co_nit": ["213.123.432-1"],
    "cz_rodne_cislo": ["710319/2745"],
    "de_krankenversicherung": ["A123456780"],
    "de_personalausweis": ["T220001293"],
    "de_steuer_id": ["36 574 261 809", "86 095 742 719", "65 929 970 489"],
    "de_svnr": ["65 170839 J 003", "15070649C103"],
    "dk_cpr": ["211062-5629"],
    "do_cedula": ["001-1391820-5"],
    "ec_cedula": ["171430710-3"],
    "ee_isikukood": ["36805280109", "38703181745"],
    "es_dni": ["54362315K", "12345678-Z"],
    "es_nie": ["X-2482300-W"],
    "eu_vat": [
        "ATU13585627", "BE0428759497", "BG175074752", "CY10259033P", "CZ25123891", "DE136695976", "DK13585628",
        "EE100931558", "EL094259216", "ESJ99216582", "FI20774740", "FR40303265045", "GB980780684", "HR33392005961",
        "HU12892312", "IE6433435F", "IT00743110157", "LT119511515", "LT100001919017", "LU15027442", "LV40003521600",
        "MT11679112", "NL004495445B01", "PL8567346215", "PT501964843", "RO18547290", "SE123456789701", "SI50223054",
        "SK2022749619",
    ],
    "fi_hetu": ["131052-308T"],
    "fr_nif": ["30 23 217 600 053"],
    "fr_nir": ["2 95 10 99 126 111 93", "2 53 07 2B 073 004 70"],
    "fr_siren": ["552 008 443", "732 829 320 00074"],
    "gr_afm": ["094259216"],
    "gr_amka": ["01013099997"],
    "hk_hkid": ["G123456(A)"],
    "hr_oib": ["33392005961"],
    "id_nik": ["3171011708450001"],
    "ie_pps": ["6433435F"],
    "il_id": ["3933742-3"],
    "imei": ["490154203237518"],
    "in_aadhaar": ["2341 2341 2346"],
    "in_gstin": ["27AAPFU0939F1ZV"],
    "in_pan": ["ACUPA7085R"],
    "is_kennitala": ["450401-3150", "120174-3399"],
    "it_codice_fiscale": ["RCCMNL83S18D969H"],
    "it_partita_iva": ["00743110157"],
    "jp_my_number": ["6214 9832 0257"],
    "kr_brn": ["116-82-00276"],
    "kr_rrn": ["971013-9019902"],
    "lu_matricule": ["1893120105732"],
    "lv_personas_kods": ["161175-19997", "328673-00679"],
    "mrz_line": ["I<UTOD231458907<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10", "7408122F1204159UTO<<<<<<<<<<<6"],
    "mx_curp": ["BOXW310820HNERXN09"],
    "mx_rfc": ["GODE561231GR8"],
    "my_nric": ["770305-02-1234"],
    "nl_bsn": ["111222333"],
    "no_fodselsnummer": ["15108695088"],
    "nz_ird": ["49-091-850", "136410132"],
    "pe_ruc": ["20512333797"],
    "pl_nip": ["856-734-62-15"],
    "pl_pesel": ["44051401359"],
    "pl_dowod": ["ABA300000"],
    "pl_regon": ["192598184"],
    "pt_nif": ["501964843"],
    "ro_cnp": ["1630615123457"],
    "rs_jmbg": ["0101006500006"],
    "ru_inn": ["1234567894", "500100732259"],
    "ru_snils": ["112-233-445 95"],
    "se_personnummer": ["811228-9874", "19811228-9874"],
    "sg_nric": ["S1234567D"],
    "si_tin": ["50223054"],
    "th_tnin": ["1-2345-45678-78-1"],
    "tr_tckn": ["17291716060", "10000000146"],
    "tw_national_id": ["A123456789"],
    "ua_rnokpp": ["1759013776"],
    "uk_nhs": ["943 476 5919"],
    "uk_nino": ["AB 12 34 56 C"],
    "uk_utr": ["1955839661"],
    "us_dea": ["F91234563"],
    "us_npi": ["1234567893"],
    "uy_ci": ["1.234.567-2"],
    "vin": ["1M8GDM9AXKP042788"],
    "za_id": ["750330 5044089"],
}  # fmt: skip

BODIES = {
    # An example, and below it what is drawn anew (r), what the check is (c), and what stays.
    "at_svnr": ("1237010180", "rrrc......"),
    "au_acn": ("004085616", "rrrrrrrrc"),
    "au_tfn": ("123456782", "rrrrrrrrc"),
    "aba_routing": ("111000025", "..rrrrrrc"),
    "ar_cuit": ("20267565393", "..rrrrrrrrc"),
    "bg_egn": ("7523169263", "......rrrc"),
    "br_cnpj": ("16727230000197", "rrrrrrrr....cc"),
    "br_cpf": ("39053344705", "rrrrrrrrrcc"),
    "ca_sin": ("146454286", ".rrrrrrrc"),
    "ch_ahv": ("7569217076985", "...rrrrrrrrrc"),
    "cl_rut": ("125319092", "rrrrrrrrC"),
    "cn_resident_id": ("110105194912310020", "..............rrrC"),
    "co_nit": ("2131234321", "rrrrrrrrrc"),
    "de_krankenversicherung": ("A123456780", ".rrrrrrrrc"),
    "de_personalausweis": ("T220001293", ".rrrrrrrrc"),
    "de_svnr": ("65170839J003", "rr.......rrc"),
    "do_cedula": ("00113918205", "rrrrrrrrrrc"),
    "ec_cedula": ("1714307103", "...rrrrrrc"),
    "ee_isikukood": ("36805280109", ".......rrrc"),
    "es_dni": ("54362315K", "rrrrrrrrC"),
    "es_nie": ("X2482300W", ".rrrrrrrC"),
    "es_nuss": ("281234567840", "..rrrrrrrrcc"),
    "fi_hetu": ("131052-308T", ".......rrrC"),
    "fr_nir": ("295109912611193", ".....rrrrrrrrcc"),
    "fr_siren": ("552008443", "rrrrrrrrc"),
    "gr_afm": ("094259216", "rrrrrrrrc"),
    "gr_amka": ("01013099997", "......rrrrc"),
    "hk_hkid": ("G123456A", ".rrrrrrC"),
    "hr_oib": ("33392005961", "rrrrrrrrrrc"),
    "hu_taj": ("123456788", "rrrrrrrrc"),
    "hu_tin": ("8071592153", ".rrrrrrrrc"),
    "ie_pps": ("6433435F", "rrrrrrrC"),
    "il_id": ("039337423", "rrrrrrrrc"),
    "imei": ("490154203237518", "rrrrrrrrrrrrrrc"),
    "in_aadhaar": ("234123412346", ".rrrrrrrrrrc"),
    "in_gstin": ("27AAPFU0939F1ZV", ".......rrrr...C"),
    "is_kennitala": ("1201743399", "......rrc."),
    "it_codice_fiscale": ("RCCMNL83S18D969H", "......rr....rrrC"),
    "it_partita_iva": ("00743110157", "rrrrrrr...c"),
    "jp_my_number": ("621498320257", "rrrrrrrrrrrc"),
    "kr_brn": ("1168200276", "rrrrrrrrrc"),
    "kr_rrn": ("9710139019902", ".......rrrrrc"),
    "lu_matricule": ("1893120105732", "........rrrcc"),
    "lv_personas_kods": ("16117519997", ".......rrrc"),
    "mx_curp": ("BOXW310820HNERXN09", "................rc"),
    "nl_bsn": ("111222333", "rrrrrrrrc"),
    "no_fodselsnummer": ("15108695088", "......rrrcc"),
    "nz_ird": ("136410132", "..rrrrrrc"),
    "pe_ruc": ("20512333797", "..rrrrrrrrc"),
    "pl_dowod": ("ABA300000", "...crrrrr"),
    "pl_nip": ("8567346215", "rrrrrrrrrc"),
    "pl_pesel": ("44051401359", "......rrrrc"),
    "pl_regon": ("192598184", "rrrrrrrrc"),
    "pt_nif": ("501964843", ".rrrrrrrc"),
    "ro_cnp": ("1630615123457", ".......rrrrrc"),
    "rs_jmbg": ("0101006500006", ".......rrrrrc"),
    "ru_inn": ("1234567894", "rrrrrrrrrc"),
    "ru_snils": ("11223344595", "rrrrrrrrrcc"),
    "se_personnummer": ("8112289874", "......rrrc"),
    "sg_nric": ("S1234567D", ".rrrrrrrC"),
    "si_tin": ("50223054", ".rrrrrrc"),
    "th_tnin": ("1234545678781", ".rrrrrrrrrrrc"),
    "tr_tckn": ("17291716060", ".rrrrrrrrcc"),
    "tw_national_id": ("A123456789", "..rrrrrrrc"),
    "ua_rnokpp": ("1759013776", "rrrrrrrrrc"),
    "uk_nhs": ("9434765919", "rrrrrrrrrc"),
    "uk_utr": ("1955839661", "crrrrrrrrr"),
    "us_dea": ("1234563", "rrrrrrc"),
    "us_npi": ("1234567893", ".rrrrrrrrc"),
    "uy_ci": ("12345672", "rrrrrrrc"),
    "vin": ("1M8GDM9AXKP042788", "........C...rrrrr"),
    "za_id": ("7503305044089", "......rrrr..c"),
}
NOT_ALL = 0.75
"""Some rules leave out bodies of which the check would be 10, and repeated digits."""


@pytest.mark.parametrize(
    ("name", "number"), [(name, one) for name, all_ in PUBLISHED.items() for one in all_]
)
def test_published_numbers_pass(name, number):
    """What an authority prints as an example is one."""
    check = VALIDATORS[name]
    assert check(number.encode())


@pytest.mark.parametrize("name", BODIES)
def test_one_check_value_passes_for_a_body(name):
    """Over all values that the check could have, a body has one at most, and nearly every body has one."""
    example, places = BODIES[name]
    draw = Random(name)
    letters = digits + ascii_uppercase if "C" in places else digits
    checks = places.lower().count("c")
    found = []
    for _ in range(60):
        body = [
            draw.choice(digits) if place == "r" else letter
            for letter, place in zip(example, places, strict=True)
        ]
        passed = 0
        for values in product(letters, repeat=checks):
            following = iter(values)
            whole = "".join(
                next(following) if place in "cC" else letter
                for letter, place in zip(body, places, strict=True)
            )
            passed += VALIDATORS[name](whole.encode())
        found.append(passed)
    assert set(found) <= {0, 1}
    assert sum(found) >= NOT_ALL * len(found)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("text", [b"", b"-", b"0", b"x" * 11, b"ABCDEFGHIJ", b"\xff\xfe12345678", b"1" * 40])
def test_what_has_another_shape_is_refused(name, text):
    """A check says no to what it cannot read; it never fails."""
    assert VALIDATORS[name](text) is False


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("us_itin", "912-93-1234"), ("us_itin", "912-49-1234"), ("us_ein", "07-1234567"), ("uk_nino", "BG123456A"),
        ("uk_nino", "AO123456A"), ("uk_nino", "AB123456E"), ("br_cpf", "111.111.111-11"), ("ar_cuit", "99-26756539-3"),
        ("in_pan", "ACUZA7085R"), ("cn_resident_id", "110105194913310020"), ("fi_hetu", "310252-308T"),
        ("it_codice_fiscale", "RCCMNL83X18D969H"), ("ipv4", "1.2.3.256"), ("ipv4", "01.2.3.4"), ("ipv4", "255.255.255.0"),
        ("ipv6", "12:34:56"), ("ipv6", "::"), ("mac", "00:00:00:00:00:00"), ("mac", "00:1b:44-11:3a:b7"),
        ("iccid", "8814800000533975"), ("imsi", "112345678901234"), ("vin_shape", "ABCDEFGHJKLMNPRST"),
    ],
)  # fmt: skip
def test_ranges_and_words_are_looked_at(name, text):
    """What the rule bars apart from its check digit is refused."""
    assert not VALIDATORS[name](text.encode())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("us_itin", "912-94-1234"), ("us_ein", "12-3456789"), ("ipv4", "203.0.113.9"),
        ("ipv6", "2001:db8::8a2e:370:7334"), ("ipv6", "fe80::1%eth0"), ("ipv6", "::ffff:203.0.113.9"),
        ("mac", "00:1b:44:11:3a:b7"), ("mac", "001b.4411.3ab7"), ("mac", "00-1B-44-11-3A-B7"),
        ("driver_licence_uk", "MORGA657054SM9IJ"), ("imsi", "310150123456789"), ("vin_shape", "WVWZZZ1KZAW000123"),
        ("id_nik", "3171015708450001"), ("hu_tin", "8071592153"), ("iccid", "89014103211118510720"),
    ],
)  # fmt: skip
def test_ranges_let_pass_what_is_given_out(name, text):
    """Numbers without a check digit are judged by their ranges."""
    assert VALIDATORS[name](text.encode())
