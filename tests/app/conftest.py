"""Fixtures of the app's tests: a fake engine in place of the HTTP one, and clean caches."""

from collections.abc import Iterator

import pytest
import streamlit as st
from fake import FakeEngine

from app import state


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    state.use_engine(None)
    st.cache_resource.clear()


@pytest.fixture
def fake() -> FakeEngine:
    """A fake engine, in use by the pages."""
    engine = FakeEngine()
    state.use_engine(lambda: engine)
    return engine
