"""One step of a job's state machine; every minute the sweep over jobs that nobody carries on."""

from gateway.entry.job_task import job_task_handler

handler = job_task_handler()
