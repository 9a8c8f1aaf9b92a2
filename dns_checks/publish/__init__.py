"""What to publish for a sender domain: records as a list, as zone text and for octoDNS; the plan for DMARC."""

from dns_checks.publish.dmarc_plan import DmarcStep, Progress, dmarc_plan, dmarc_start_record
from dns_checks.publish.error import PublishError
from dns_checks.publish.logo import LogoPublication
from dns_checks.publish.mta_sts import TlsPolicyPublication
from dns_checks.publish.octodns import as_octodns_yaml
from dns_checks.publish.records import PublishRequest, RecordToPublish, records_to_publish
from dns_checks.publish.spf import merged_spf
from dns_checks.publish.zone_text import as_zone_text

__all__ = [
    "DmarcStep",
    "LogoPublication",
    "Progress",
    "PublishError",
    "PublishRequest",
    "RecordToPublish",
    "TlsPolicyPublication",
    "as_octodns_yaml",
    "as_zone_text",
    "dmarc_plan",
    "dmarc_start_record",
    "merged_spf",
    "records_to_publish",
]
