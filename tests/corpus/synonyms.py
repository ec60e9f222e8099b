"""Other words for the same identifier: what forms, letters and log lines call it beside its official name."""

from __future__ import annotations

from dataclasses import replace

from tests.corpus.recipe import Recipe

WORDS = {
    "ca-sin": "social insurance, nas, numero d assurance sociale",
    "us-ssn/bare": "social security, social security no, ssn number",
    "us-itin/bare": "individual taxpayer identification number, taxpayer identification number",
    "us-npi": "national provider identifier, provider npi",
    "us-mbi": "medicare number, medicare beneficiary identifier",
    "us-dea": "dea registration number, dea no",
    "us-bank-account": "bank account, bank account no, account no, acct number",
    "us-driver-licence/ca": "driving license number, license number, drivers licence",
    "us-passport": "passport, passport no, passport id",
    "us-ein": "employer identification number, tax id, fein",
    "ca-sin/spaced": "sin number",
    "br-cpf": "cadastro de pessoas fisicas, cpf number",
    "mx-rfc": "rfc con homoclave",
    "uk-nhs-number": "nhs id, national health service number",
    "uk-nino": "national insurance, national insurance no, ni no",
    "uk-driving-licence": "driving license, uk driving licence",
    "uk-passport": "british passport, passport no",
    "uk-utr": "unique tax reference, tax reference",
    "fr-nir": "securite sociale, numero de secu, numero insee",
    "fr-nif": "numero fiscal de reference, identifiant fiscal",
    "de-steuer-id": "steueridnummer, steuer idnr, tax id, tin",
    "de-svnr": "versicherungsnummer, rvnr, sv nummer",
    "de-personalausweis": "ausweis, ausweis nr, id card number",
    "de-krankenversicherung": "versichertennummer, krankenversicherungsnummer",
    "de-ust-id": "ust idnr, umsatzsteuer identifikationsnummer",
    "es-dni-nif": "documento nacional de identidad, dni numero",
    "es-nuss": "numero de la seguridad social, numero seguridad social",
    "it-partita-iva": "piva, partita iva numero",
    "nl-bsn": "burger service nummer, bsn nummer",
    "be-national-register": "rijksregister, numero de registre national, insz",
    "pt-nif": "numero de identificacao fiscal, nif contribuinte",
    "se-personnummer": "svenskt personnummer, swedish id",
    "dk-cpr": "cprnr, personnummer",
    "no-fodselsnummer": "fødselsnummer, norwegian national id",
    "pl-pesel": "nr pesel, pesel number",
    "cz-sk-rodne-cislo": "rodné číslo, rodneho cisla",
    "tr-tckn": "tc no, kimlik no, kimlik numarasi",
    "ru-snils": "номер снилс",
    "za-id": "identity number, rsa id, south african identity number",
    "ng-nin": "national identity number, nin number",
    "in-aadhaar": "aadhaar no, aadhaar card",
    "in-pan": "pan number, pan no",
    "kr-rrn": "주민등록번호, jumin deungnok beonho",
    "kr-brn": "사업자등록번호, business number",
    "jp-my-number": "マイナンバー, kojin bango",
    "th-tnin": "เลขประจำตัวประชาชน, thai id card",
    "sg-nric-fin": "nric no, singapore nric",
    "my-nric": "mykad number, malaysian ic",
    "id-nik": "nomor induk kependudukan, nik ktp",
    "ph-tin": "taxpayer identification number, philippine tin",
    "au-medicare": "medicare no, medicare card number",
    "nz-ird": "ird no, inland revenue number",
    "il-id": "teudat zehut number, mispar zehut",
    "phone-national": "tel, phone no, fax, contact number, telefon, telefono, mobile",
    "date-of-birth": "born on, geburtsdatum, date de naissance, fecha de nacimiento, birthdate",
    "health-record-number": "medical record no, patient number, mrn number",
    "gps-coordinates": "latitude longitude, geo location, position",
    "us-aba-routing": "aba, routing no, bank routing number",
    "card-cvv": "security code, card verification value, cvv code, csc",
    "imei": "imei number, device id imei",
    "vin": "vehicle identification number, chassis number",
}


def with_synonyms(recipes: tuple[Recipe, ...]) -> tuple[Recipe, ...]:
    """Return the recipes that have other words, each beside those words."""
    by_name = {recipe.name: recipe for recipe in recipes}
    return tuple(
        replace(
            by_name[name],
            name=f"{name}, other words",
            keywords=tuple(word.strip() for word in words.split(",")),
        )
        for name, words in WORDS.items()
    )
