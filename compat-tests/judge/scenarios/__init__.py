"""All scenarios, in the order they are run.

Steps named by a number re-create a captured pair of the protocol reference; the others reach what no pair does.
"""

from __future__ import annotations

from ..steps import Scenario
from . import (
    bases,
    core_metadata,
    crashes,
    credentials,
    deletion,
    files,
    index_creation,
    index_modification,
    limits,
    negotiation,
    permissions,
    restrict_modify,
    service,
    simple,
    unfinished,
    upload_forms,
    uploads,
    urls,
    users,
)

SCENARIOS: tuple[Scenario, ...] = (
    service.SERVICE,
    users.USERS,
    index_creation.INDEX_CREATION,
    index_modification.INDEX_MODIFICATION,
    uploads.UPLOADS,
    upload_forms.UPLOAD_FORMS,
    files.FILES,
    simple.SIMPLE,
    bases.BASES,
    deletion.DELETION,
    credentials.CREDENTIALS,
    permissions.PERMISSIONS,
    restrict_modify.RESTRICT_MODIFY,
    restrict_modify.RESTRICT_MODIFY_GROUPS,
    core_metadata.CORE_METADATA,
    urls.URLS,
    urls.OUTSIDE_URL,
    negotiation.NEGOTIATION,
    limits.LIMITS,
    crashes.CRASHES,
    unfinished.UNFINISHED,
)
