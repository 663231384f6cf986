"""The store and the recipes that settings name: a folder of this machine, or a bucket that many machines share."""

from __future__ import annotations

from functools import cache

from dashapp.settings import Settings
from dashapp.store.contract import Recipes, Store, StoreAddress
from dashapp.store.disk import TraceStore, default_size_limit
from dashapp.store.recipes import RecipeStore


def new_store(address: StoreAddress) -> Store:
    """The store at an address, with connections of its own; without a limit it is `default_size_limit`.

    Raises: StoreUnavailable, ScaleMissing.
    """
    limit_bytes = address.size_limit_bytes or default_size_limit(address.folder)
    if address.url is None:
        return TraceStore(address.folder, size_limit_bytes=limit_bytes)
    from dashapp.store.objects import Objects  # its client is an extra that one machine does without
    from dashapp.store.remote import ObjectStore

    return ObjectStore(Objects(address.url, address.endpoint), address.folder, size_limit_bytes=limit_bytes)


@cache
def open_store(address: StoreAddress) -> Store:
    """The same, opened once a process: not for one that forks, for connections do not survive that."""
    return new_store(address)


def open_recipes(settings: Settings) -> Recipes:
    """The texts of long links. Raises: ScaleMissing."""
    if settings.store is None:
        return RecipeStore(settings.recipes_dir)
    from dashapp.store.objects import Objects
    from dashapp.store.remote import ObjectRecipes

    return ObjectRecipes(Objects(settings.store, settings.store_endpoint))
