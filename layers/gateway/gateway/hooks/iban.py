"""International bank account numbers: each country's length, and the check digits of all.

Source: https://www.swift.com/standards/data-standards/iban-international-bank-account-number (registry, 2026-11)
"""

from __future__ import annotations

_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 "
    "EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 "
    "KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 "
    "PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 "
    "UA29 VA22 VG24 XK20 YE30 "
)
LENGTHS = {entry[:2]: int(entry[2:]) for entry in _LENGTHS.split()}
_AS_NUMBERS = {ord(letter): str(int(letter, 36)) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def iban_end(text: str, start: int) -> int | None:
    """Where an account number that begins at `start` ends: its country says how many letters and digits it has."""
    length = LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return None
    compact = text[start : start + 2 * length].replace(" ", "")[:length]
    if len(compact) < length or not compact.isascii() or not compact.isalnum() or not has_good_check_digits(compact):
        return None
    end = start
    for character in compact:
        end = text.index(character, end) + 1
    return None if text[end : end + 1].isalnum() else end


def has_good_check_digits(compact: str) -> bool:
    """ISO 7064, modulo 97, of an account number without spaces."""
    return int((compact[4:] + compact[:4]).upper().translate(_AS_NUMBERS)) % 97 == 1
