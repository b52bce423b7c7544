//! Descriptions as real implementations wrote them; addresses replaced by those for documentation.

/// An offer of Chromium 156 with one data channel.
pub(crate) const CHROMIUM: &str = "v=0\r\n\
o=- 6831170602998288480 2 IN IP4 127.0.0.1\r\n\
s=-\r\n\
t=0 0\r\n\
a=group:BUNDLE 0\r\n\
a=extmap-allow-mixed\r\n\
a=msid-semantic: WMS\r\n\
m=application 35320 UDP/DTLS/SCTP webrtc-datachannel\r\n\
c=IN IP4 192.0.2.2\r\n\
a=candidate:685846013 1 udp 2113937151 192.0.2.2 35320 typ host generation 0 network-cost 999\r\n\
a=candidate:3817335837 1 udp 2113942271 fd00::2 32975 typ host generation 0 network-cost 999\r\n\
a=ice-ufrag:a5i5\r\n\
a=ice-pwd:98YGmvTc5/2kRJr3hhwbSGdR\r\n\
a=ice-options:trickle\r\n\
a=fingerprint:sha-256 3B:C5:6A:63:4B:78:4B:38:33:31:EB:47:37:A3:32:C8:7D:0F:80:B7:5D:98:A0:D7:8F:98:7F:3E:29:D1:9B:CD\r\n\
a=setup:actpass\r\n\
a=mid:0\r\n\
a=sctp-port:5000\r\n\
a=max-message-size:262144\r\n";

/// An offer of Chromium 156 with audio, video and a data channel; most codecs cut.
pub(crate) const CHROMIUM_MEDIA: &str = "v=0\r\n\
o=- 3480496316872067468 2 IN IP4 127.0.0.1\r\n\
s=-\r\n\
t=0 0\r\n\
a=group:BUNDLE 0 1 2\r\n\
a=msid-semantic: WMS\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n\
c=IN IP4 0.0.0.0\r\n\
a=rtcp:9 IN IP4 0.0.0.0\r\n\
a=ice-ufrag:ZV6s\r\n\
a=ice-pwd:cHf+byvTxq1An5kUhLRfDe30\r\n\
a=ice-options:trickle\r\n\
a=fingerprint:sha-256 FB:D7:7B:AB:49:FF:4F:65:0C:F4:83:7B:12:24:2C:1A:45:7F:81:0B:A1:33:98:74:C7:17:15:12:EA:5C:EA:FF\r\n\
a=setup:actpass\r\n\
a=mid:0\r\n\
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
a=sendrecv\r\n\
a=msid:- 43ede4c0-d0cd-47f2-b42d-3ba02b5aea40\r\n\
a=rtcp-mux\r\n\
a=rtcp-rsize\r\n\
a=rtpmap:111 opus/48000/2\r\n\
a=fmtp:111 minptime=10;useinbandfec=1\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n\
c=IN IP4 0.0.0.0\r\n\
a=rtcp:9 IN IP4 0.0.0.0\r\n\
a=ice-ufrag:ZV6s\r\n\
a=ice-pwd:cHf+byvTxq1An5kUhLRfDe30\r\n\
a=ice-options:trickle\r\n\
a=fingerprint:sha-256 FB:D7:7B:AB:49:FF:4F:65:0C:F4:83:7B:12:24:2C:1A:45:7F:81:0B:A1:33:98:74:C7:17:15:12:EA:5C:EA:FF\r\n\
a=setup:actpass\r\n\
a=mid:1\r\n\
a=sendrecv\r\n\
a=rtcp-mux\r\n\
a=rtpmap:96 VP8/90000\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
c=IN IP4 0.0.0.0\r\n\
a=ice-ufrag:ZV6s\r\n\
a=ice-pwd:cHf+byvTxq1An5kUhLRfDe30\r\n\
a=ice-options:trickle\r\n\
a=fingerprint:sha-256 FB:D7:7B:AB:49:FF:4F:65:0C:F4:83:7B:12:24:2C:1A:45:7F:81:0B:A1:33:98:74:C7:17:15:12:EA:5C:EA:FF\r\n\
a=setup:actpass\r\n\
a=mid:2\r\n\
a=sctp-port:5000\r\n\
a=max-message-size:262144\r\n";

/// An offer of Firefox: fingerprint and options at the session level.
pub(crate) const FIREFOX: &str = "v=0\r\n\
o=mozilla...THIS_IS_SDPARTA-99.0 6405283463418513416 0 IN IP4 0.0.0.0\r\n\
s=-\r\n\
t=0 0\r\n\
a=sendrecv\r\n\
a=fingerprint:sha-256 83:28:B2:26:52:C4:48:D8:5A:55:A3:96:04:57:9B:BA:CE:B1:6D:B6:3F:0C:CD:7B:81:6D:BA:89:EF:EC:E8:D9\r\n\
a=group:BUNDLE 0\r\n\
a=ice-options:trickle\r\n\
a=msid-semantic:WMS *\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
c=IN IP4 0.0.0.0\r\n\
a=candidate:0 1 UDP 2122187007 0ba0a4e6-3bd1-4d12-8d4f-6c3d1b1c6a2e.local 45123 typ host\r\n\
a=sendrecv\r\n\
a=end-of-candidates\r\n\
a=ice-pwd:2c4f1e0bb1b1c7a1c9ea2e0a6ddbf9a1\r\n\
a=ice-ufrag:7dd6c2b1\r\n\
a=mid:0\r\n\
a=setup:actpass\r\n\
a=sctp-port:5000\r\n\
a=max-message-size:1073741823\r\n";

/// An offer of aiortc 1.14: two fingerprints, no trickle.
pub(crate) const AIORTC: &str = "v=0\r\n\
o=- 4004166187 4004166187 IN IP4 0.0.0.0\r\n\
s=-\r\n\
t=0 0\r\n\
a=group:BUNDLE 0\r\n\
a=msid-semantic:WMS *\r\n\
m=application 45428 UDP/DTLS/SCTP webrtc-datachannel\r\n\
c=IN IP4 192.0.2.2\r\n\
a=mid:0\r\n\
a=sctp-port:5000\r\n\
a=max-message-size:262144\r\n\
a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 45428 typ host\r\n\
a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 45243 typ host\r\n\
a=end-of-candidates\r\n\
a=ice-ufrag:qrvv\r\n\
a=ice-pwd:EKQSM39bh3mNKFKYot2ksV\r\n\
a=fingerprint:sha-256 19:E5:9C:65:38:D7:24:11:10:FE:ED:FC:AF:48:1F:9A:A2:ED:5A:76:B9:25:E4:88:E7:9C:03:90:6E:7D:E2:65\r\n\
a=fingerprint:sha-384 8D:4E:AC:AC:74:C2:F8:47:B7:DB:10:92:61:BB:70:18:53:DF:7D:71:15:89:3E:8E:65:D9:DB:8E:84:4E:8E:C5:EB:07:7E:4B:5E:58:ED:23:EB:06:B8:87:F6:09:1D:E9\r\n\
a=setup:actpass\r\n";

/// An offer of libdatachannel 0.23: options with a comma.
pub(crate) const LIBDATACHANNEL: &str = "v=0\r\n\
o=rtc 1366765280 0 IN IP4 127.0.0.1\r\n\
s=-\r\n\
t=0 0\r\n\
a=group:BUNDLE 0\r\n\
a=msid-semantic:WMS *\r\n\
a=ice-options:ice2,trickle\r\n\
a=fingerprint:sha-256 14:0D:BE:14:2C:A4:AE:C2:B3:87:E7:C3:CE:25:05:AD:63:9A:59:43:EA:E9:04:18:14:4C:00:0B:D2:E0:CE:40\r\n\
m=application 50560 UDP/DTLS/SCTP webrtc-datachannel\r\n\
c=IN IP4 192.0.2.2\r\n\
a=mid:0\r\n\
a=sendrecv\r\n\
a=sctp-port:5000\r\n\
a=max-message-size:262144\r\n\
a=setup:actpass\r\n\
a=ice-ufrag:DQTM\r\n\
a=ice-pwd:Ujum702a5U+WCMtPFlcDXi\r\n\
a=candidate:2 1 UDP 2116026111 fd00::2 50560 typ host\r\n\
a=candidate:1 1 UDP 2114977791 192.0.2.2 50560 typ host\r\n\
a=end-of-candidates\r\n";
