"""All detectors there are. Pure.

In:    nothing.
Out:   `DETECTORS`, and which of them looks at what.
Never: a detector that is not in this list.
"""

from collections.abc import Mapping, Sequence

from services.analytics.detectors.credential_burst import CredentialBurst
from services.analytics.detectors.error_payloads import ErrorPayloads
from services.analytics.detectors.hammering import Hammering
from services.analytics.detectors.look import Detector
from services.analytics.detectors.path_scan import PathScan
from services.analytics.detectors.rate_jump import RateJump
from services.analytics.detectors.token_sharing import TokenSharing
from shared.names.reasons import Reason

DETECTORS: tuple[Detector, ...] = (CredentialBurst(), PathScan(), Hammering(), TokenSharing(), RateJump(),
                                   ErrorPayloads())
BY_REASON: Mapping[str, Sequence[Detector]] = {
    str(reason): [detector for detector in DETECTORS if reason in detector.reasons]
    for reason in Reason if any(reason in detector.reasons for detector in DETECTORS)}
OF_CALLERS = tuple(detector for detector in DETECTORS if detector.looks_at == "callers")
OF_PLACES = tuple(detector for detector in DETECTORS if detector.looks_at == "places")
