"""Which columns are taken for personal data by their names alone."""

from __future__ import annotations

import pytest

from toolkit.core.personal_names import looks_personal


@pytest.mark.parametrize(
    "name",
    [
        *(
            "email",
            "Email",
            "EMAIL",
            "user_email",
            "contactEmail",
            "e_mail",
            "name",
            "first_name",
            "FirstName",
            "lastname",
        ),
        *(
            "phone",
            "HomePhone",
            "mobile_number",
            "password",
            "password_hash",
            "pwd",
            "token",
            "refreshToken",
            "API_KEY",
        ),
        *(
            "address",
            "BillingAddress",
            "ip",
            "ip_address",
            "street",
            "PostalCode",
            "ZIP",
            "birth_date",
            "ssn",
            "Full Name",
        ),
        *("client_secret", "username", "fax"),
    ],
)
def test_a_column_of_such_a_name_looks_personal(name: str) -> None:
    assert looks_personal(name)


@pytest.mark.parametrize(
    "name",
    [
        *("id", "title", "description", "ship_date", "recipients", "file_name", "FileName", "filename", "table_name"),
        *(
            "hostname",
            "amount",
            "created_at",
            "SupportRepId",
            "quantity",
            "key",
            "value",
            "compass",
            "telemetry",
            "ΑΒΓ",
            "",
        ),
    ],
)
def test_a_column_of_another_name_does_not(name: str) -> None:
    assert not looks_personal(name)
