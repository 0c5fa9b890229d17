"""For all tests: plain assertions of the shipped suites say what was compared."""

import pytest

pytest.register_assert_rewrite("noisesearch.testing")
