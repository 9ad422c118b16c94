"""/v1/jobs, under the streaming runtime client."""

from gateway.entry.jobs import jobs_app
from gateway.entry.wiring import aws_world

app = jobs_app(aws_world())
