# WebTransport's keying material, from the key schedule of aioquic, which has no exporter itself.
# https://www.rfc-editor.org/rfc/rfc8446#section-7.5
# https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-4.8

from aioquic.tls import KeySchedule, hkdf_expand_label
from cryptography.hazmat.primitives import hashes

derive_secret = KeySchedule.derive_secret


def derive_and_keep(schedule, label):
    # The exporter's secret comes from the same messages as this one.
    if label == b"s ap traffic":
        schedule.exporter_master_secret = derive_secret(schedule, b"exp master")
    return derive_secret(schedule, label)


KeySchedule.derive_secret = derive_and_keep


def tls_exporter(schedule, label, context, length):
    def digest(data):
        digest = hashes.Hash(schedule.algorithm)
        digest.update(data)
        return digest.finalize()

    def expand(secret, label, hash_value, length):
        return hkdf_expand_label(
            algorithm=schedule.algorithm, secret=secret, label=label, hash_value=hash_value, length=length
        )

    secret = expand(schedule.exporter_master_secret, label, digest(b""), schedule.algorithm.digest_size)
    return expand(secret, b"exporter", digest(context), length)


def keying_material(quic, session_id, label, context, length):
    """What exportKeyingMaterial(label, context, length) of a session gives."""
    parts = [session_id.to_bytes(8, "big"), bytes([len(label)]), label, bytes([len(context)]), context]
    return tls_exporter(quic.tls.key_schedule, b"EXPORTER-WebTransport", b"".join(parts), length)
