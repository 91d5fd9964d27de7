"""What a preview and a comparison say is exact, or marked as an estimate that claims nothing about budgets."""

import re
from pathlib import Path

import msgspec
import pytest

from incentives.promotions import store
from marketplace.consoles import promotion_builder
from marketplace.core.db import WORKER, Database
from marketplace.flows.promotions.preview_promotion import preview_terms
from tests.pages.conftest import plain
from tests.pages.forms import send
from tests.pages.test_deeds import browser_of
from tests.pages.test_promotion_pages import approved_campaign, fresh

__all__ = ["fresh"]


async def drafts(db: Database, home: Path) -> list[int]:
    """A promotion with a budget that ends, and the same without any."""
    async with browser_of(db, home, "ops") as maker, browser_of(db, home, "admin") as checker:
        new = f"{await approved_campaign(maker, checker)}/promotions"
        made = []
        for name, budget in (("capped", "100"), ("open", "")):
            typed = {"threshold": "100", "award": "20", "budget": budget, "starts": "2018-09-01", "name": name}
            answer = await send(maker, f"{new}/new?gives=once", new, **typed)
            assert answer.status_code == 303, plain(answer.text)
            made.append(int(answer.headers["location"].partition("?")[0].rpartition("/")[2]))
    return made


async def test_a_comparison_has_the_figures_of_the_previews_over_all_orders(
    fresh: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion_builder, "GLANCE_MAX", 20)
    ids = await drafts(fresh, tmp_path)
    costs = []
    for promotion_id in ids:
        async with fresh.read(WORKER) as tx:
            terms = (await store.get_version(tx, promotion_id)).terms
        found = await preview_terms(fresh, terms)
        assert found is not None
        assert found.one_in == 1
        costs.append(found.cost_minor)
    assert costs[0] == 100_00 < costs[1]
    compared = "/ops/promotions/compare?" + "&".join(f"of={each}" for each in ids)
    async with browser_of(fresh, tmp_path, "ops") as ops:
        words = plain((await ops.get(compared)).text)
        assert re.findall(r"Cost (\S+) \S+ (\S+)", words) == [tuple(f"€{cost / 100:,.2f}" for cost in costs)]
        assert "about €" not in words
        glanced = plain((await ops.get(f"/ops/promotions/{ids[0]}/edit")).text)
        assert re.search(r"Without any budget about €[\d,]+\.00", glanced)
        monkeypatch.setattr(promotion_builder, "ORDERS_MAX", 20)
        words = plain((await ops.get(compared)).text)
    assert "Cost not known from a sample" in words
    assert "Estimated from one merchant in" in words
    assert "about €" in words


async def test_a_sample_says_nothing_of_what_a_budget_caps(fresh: Database, tmp_path: Path) -> None:
    async with fresh.read(WORKER) as tx:
        terms = (await store.get_version(tx, (await drafts(fresh, tmp_path))[0])).terms
    capped = await preview_terms(fresh, terms, orders_max=100)
    free = await preview_terms(fresh, msgspec.structs.replace(terms, budgets=()), orders_max=100)
    assert capped is not None
    assert free is not None
    assert (capped.is_uncapped, free.is_uncapped) == (True, False)
    assert (capped.cost_minor, capped.days, capped.top) == (free.cost_minor, free.days, free.top)
    assert capped.cost_minor == capped.wanted_minor == capped.unlimited.cost_minor * capped.one_in
