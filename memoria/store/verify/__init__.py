"""Is a store what was committed? Every byte, every rule, the way back to the last sound step."""

from __future__ import annotations

from memoria.store.verify.findings import Finding, Repaired, Report
from memoria.store.verify.repair import repair
from memoria.store.verify.verifying import verify

__all__ = ["Finding", "Repaired", "Report", "repair", "verify"]
