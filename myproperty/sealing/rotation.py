"""Rotate keys: wrap the tenants' keys with a new master key, or make new data keys for new values."""

import uuid

from myproperty.sealing import cipher
from myproperty.sealing.keyring import MASTER, DataKey, Keyring
from myproperty.sealing.store import KeyName, WrappedKey

OF_THE_TENANT = """
    select id from myproperty.data_keys where tenant_id = %s and user_id is null and destroyed_at is null
"""
RETIRE = """
    update myproperty.data_keys set status = 'retired' where tenant_id = %s and status = 'active'
    returning user_id
"""


def rotate_master(keys: Keyring, tenant: uuid.UUID | None = None) -> int:
    """Wrap the keys of the tenants with the first master key; return the number of changed keys.

    The database and the sealed values do not change. Each file is replaced in one step: after an interruption
    every key is wrapped by the old or the new master key, and a second run does the rest.
    """
    rewrapped = 0
    for each in [tenant] if tenant else keys.tenants():
        with keys.changing(each) as connection:
            names = [KeyName(row.id, each, None) for row in connection.execute(OF_THE_TENANT, (each,))]
            for name in names:
                file = keys.store.find(name)
                if isinstance(file, WrappedKey) and file.wrapped_by != MASTER + keys.masters.first:
                    keys.store.write(keys.wrap(name, keys.unwrap(file), None))
                    rewrapped += 1
    return rewrapped


def rotate_keys(keys: Keyring, tenant: uuid.UUID) -> int:
    """Make a new active key for the tenant and each of its people with a key; return the number of keys.

    The old keys are retired: they still open their values. One transaction does all or nothing; the files of
    an interrupted run are never used.
    """
    with keys.changing(tenant) as connection:
        users = {row.user_id for row in connection.execute(RETIRE, (tenant,))}
        tenant_key: DataKey | None = None
        for user in sorted(users | {None} if users else users, key=lambda id: (id is not None, str(id))):
            name, secret = keys.insert(connection, tenant, user), cipher.new_key()
            keys.store.write(keys.wrap(name, secret, tenant_key))
            tenant_key = tenant_key or DataKey(name, secret)
    keys.forget(tenant)
    return len(users)
