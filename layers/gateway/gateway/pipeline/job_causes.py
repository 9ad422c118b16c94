"""Why a job ends without a result, in the words that its tenant reads."""

from __future__ import annotations

LOST = "The job's worker was interrupted while a provider was asked. It is not asked again, for it may be paid."
TOO_LATE = "The job did not come to its turn in time. No provider was asked."
NOT_HELD = "Nothing is held for the job any more. No provider was asked."
NOT_ASKED = "The request was interrupted before a provider was asked."
EXECUTION_ENDED = "The job's execution ended before the job did."
